// Computes y = act(x · wᵀ + bias) + residual for many rows: a workgroup is one subgroup and takes ROWS × (WG_X · PACK)
// results. Each invocation loads w for its own PACK columns, and x for another row than its neighbours, who get it by
// shuffle: a load serves ROWS or WG_X · PACK products. Layout as linear_tile.

#import linear_epilogue

const ROW_GROUPS: u32 = ROWS / WG_X;

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = wid.y * ROWS;
  // Rows and columns past the end repeat the last one, so that no load is out of range; they are not stored.
  let last = y_rows() - 1u;
  let pack = wid.x * WG_X + lane;
  let w_row = w_offset + min(pack, COLUMNS / PACK - 1u) * PACK * w_stride;
  var x_row: array<u32, ROW_GROUPS>;
  for (var g = 0u; g < ROW_GROUPS; g++) {
    x_row[g] = x_offset + min(first + g * WG_X + lane, last) * x_stride;
  }
  var sums: array<Pack, ROWS>;
#if GATED
  let up = COLUMNS * w_stride;
  var up_sums: array<Pack, ROWS>;
#endif
  for (var k = 0u; k < loop_bound(INNER / 4u); k++) {
    let a = load_w(w_row + k);
    let b = load_w(w_row + w_stride + k);
#if GATED
    let c = load_w(w_row + up + k);
    let d = load_w(w_row + up + w_stride + k);
#endif
    for (var g = 0u; g < ROW_GROUPS; g++) {
      let mine = load_x(x_row[g] + k);
      for (var i = 0u; i < WG_X; i++) {
        let x = subgroupShuffle(mine, i);
        sums[g * WG_X + i] += Pack(dot(x, a), dot(x, b));
#if GATED
        up_sums[g * WG_X + i] += Pack(dot(x, c), dot(x, d));
#endif
      }
    }
  }
  if (pack >= COLUMNS / PACK) {
    return;
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
