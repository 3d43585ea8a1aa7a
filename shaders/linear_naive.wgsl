// Computes y = act(x · wᵀ + bias) + residual, one Pack of y an invocation, one product at a time.
// Layout: x [T, INNER], w [COLUMNS, INNER], bias [COLUMNS], residual and y [T, COLUMNS]. First rung of the ladder.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let pack = gid.x;
  let t = gid.y;
  if (pack * PACK >= COLUMNS) {
    return;
  }
  var result = Pack();
  for (var lane = 0u; lane < PACK; lane++) {
    let w_row = w_offset + (pack * PACK + lane) * w_stride;
    var sum = 0.0;
    for (var k = 0u; k < loop_bound(INNER); k++) {
      sum += load_x(x_offset + t * x_stride + k) * load_w(w_row + k);
    }
#if SCALAR
    result = sum;
#else
    result[lane] = sum;
#endif
  }
#if HAS_BIAS
  result += load_bias(pack);
#endif
#if SILU
  result = result / (1.0 + exp(-result));
#endif
#if HAS_RESIDUAL
  result += load_residual(residual_offset + t * residual_stride + pack);
#endif
  store_y(y_offset + t * y_stride + pack, result);
}
