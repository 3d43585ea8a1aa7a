// Computes y = act(x · wᵀ + bias) + residual, one Pack of y an invocation, one product at a time.
// With GATED: y = act(x · w[:COLUMNS]ᵀ) · (x · w[COLUMNS:]ᵀ). First rung of the ladder.
// Layout: x [T, INNER], w [COLUMNS (· 2), INNER], bias [COLUMNS (· 2)], residual and y [T, COLUMNS].

#import linear_epilogue

fn sum_of(t: u32, column: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < loop_bound(INNER); k++) {
    sum += load_x(x_offset + t * x_stride + k) * load_w(w_offset + column * w_stride + k);
  }
  return sum;
}

fn pack_of(t: u32, column: u32) -> Pack {
#if SCALAR
  return sum_of(t, column);
#else
  return Pack(sum_of(t, column), sum_of(t, column + 1u));
#endif
}

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let pack = gid.x;
  let t = gid.y;
  if (pack * PACK >= COLUMNS) {
    return;
  }
#if GATED
  finish_gated(t, pack, pack_of(t, pack * PACK), pack_of(t, COLUMNS + pack * PACK));
#else
  finish(t, pack, pack_of(t, pack * PACK));
#endif
}
