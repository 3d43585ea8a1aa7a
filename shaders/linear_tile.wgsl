// Computes y = act(x · wᵀ + bias) + residual, a tile of ROWS × 4 results an invocation, LOAD products a load.
// Layout as linear_naive, with INNER a multiple of LOAD and COLUMNS one of four. Registers hold the tile: no barrier.

#import linear_epilogue
#import linear_operands

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let pack = wid.x * WG_X + lane;
  let first = wid.y * ROWS;
  if (pack >= COLUMNS / 4u) {
    return;
  }
  // Rows past the end repeat the last one, so that no load is out of range; they are not stored.
  let last = y_rows() - 1u;
  let w0 = w_offset + pack * 4u * w_stride;
  let w1 = w0 + w_stride;
  let w2 = w1 + w_stride;
  let w3 = w2 + w_stride;
  var sums: array<Pack, ROWS>;
#if GATED
  let up = COLUMNS * w_stride;
  var up_sums: array<Pack, ROWS>;
#endif
  for (var k = 0u; k < loop_bound(INNER / LOAD); k++) {
    let a = load_w(w0 + k);
    let b = load_w(w1 + k);
    let c = load_w(w2 + k);
    let d = load_w(w3 + k);
#if GATED
    let e = load_w(w0 + up + k);
    let f = load_w(w1 + up + k);
    let g = load_w(w2 + up + k);
    let h = load_w(w3 + up + k);
#endif
    for (var r = 0u; r < ROWS; r++) {
      let x = load_operand(x_offset + min(first + r, last) * x_stride, k);
      sums[r] += products(x, a, b, c, d);
#if GATED
      up_sums[r] += products(x, e, f, g, h);
#endif
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    let t = first + r;
    if (t > last) {
      return;
    }
#if GATED
    finish_gated(t, pack, sums[r], up_sums[r]);
#else
    finish(t, pack, sums[r]);
#endif
  }
}
