// Computes y = act(x · wᵀ + bias) + residual, a tile of ROWS × PACK results an invocation, LOAD products a load.
// Layout as linear_naive, with INNER a multiple of LOAD and COLUMNS one of PACK. Registers hold the tile: no barrier.

#import linear_epilogue
#import linear_operands

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let pack = wid.x * WG_X + lane;
  let first = wid.y * ROWS;
  if (pack >= COLUMNS / PACK) {
    return;
  }
  // Rows past the end repeat the last one, so that no load is out of range; they are not stored.
  let last = y_rows() - 1u;
  let w_row = w_offset + pack * PACK * w_stride;
  var sums: array<Pack, ROWS>;
#if GATED
  let up = COLUMNS * w_stride;
  var up_sums: array<Pack, ROWS>;
#endif
  for (var k = 0u; k < loop_bound(INNER / LOAD); k++) {
    let columns = load_columns(w_row, k);
#if GATED
    let up_columns = load_columns(w_row + up, k);
#endif
    for (var r = 0u; r < ROWS; r++) {
      let x = load_operand(x_offset + min(first + r, last) * x_stride, k);
      sums[r] += products(x, columns);
#if GATED
      up_sums[r] += products(x, up_columns);
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
