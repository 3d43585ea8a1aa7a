// Computes y = act(x · wᵀ + bias) + residual for many rows: a workgroup of 16 × 16 takes 64 × 64 results, both
// operands staged through workgroup memory STEP inner elements at a time, 4 × 4 results an invocation.
// Layout as linear_tile.

#import linear_epilogue

const TILE: u32 = 64u;
const STEP_PACKS: u32 = 4u;

// [inner element][row or column of the tile], a Pack longer than the tile to spread the banks. Scalars, because
// invocations fill single elements, and a store to one component of a vector may write the others as well.
const LINE: u32 = TILE + 4u;
var<workgroup> xs: array<f32, 16u * LINE>;
var<workgroup> ws: array<f32, 16u * LINE>;
#if GATED
var<workgroup> us: array<f32, 16u * LINE>;
#endif

@compute @workgroup_size(WG_X, WG_Y)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let last = y_rows() - 1u;
  let first_row = wid.y * TILE;
  let first_column = wid.x * TILE;
  // Invocation `lane` stages one vec4 of row or column lane / 4 of the tile.
  let staged = lane / STEP_PACKS;
  let staged_pack = lane % STEP_PACKS;
  let x_row = x_offset + min(first_row + staged, last) * x_stride;
  let w_row = w_offset + min(first_column + staged, COLUMNS - 1u) * w_stride;
  var sums: array<vec4<f32>, 4>;
#if GATED
  var up_sums: array<vec4<f32>, 4>;
#endif
  for (var k = 0u; k < loop_bound(INNER / 4u); k += STEP_PACKS) {
    let pack = k + staged_pack;
    var x = vec4<f32>();
    var w = vec4<f32>();
    if (pack < INNER / 4u) {
      x = load_x(x_row + pack);
      w = load_w(w_row + pack);
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      xs[(staged_pack * 4u + i) * LINE + staged] = x[i];
      ws[(staged_pack * 4u + i) * LINE + staged] = w[i];
    }
#if GATED
    var u = vec4<f32>();
    if (pack < INNER / 4u) {
      u = load_w(w_row + COLUMNS * w_stride + pack);
    }
    for (var i = 0u; i < 4u; i++) {
      us[(staged_pack * 4u + i) * LINE + staged] = u[i];
    }
#endif
    workgroupBarrier();
    for (var i = 0u; i < loop_bound(16u); i++) {
      let row = i * LINE + lid.y * 4u;
      let column = i * LINE + lid.x * 4u;
      let columns = vec4<f32>(ws[column], ws[column + 1u], ws[column + 2u], ws[column + 3u]);
#if GATED
      let ups = vec4<f32>(us[column], us[column + 1u], us[column + 2u], us[column + 3u]);
#endif
      for (var r = 0u; r < 4u; r++) {
        sums[r] += xs[row + r] * columns;
#if GATED
        up_sums[r] += xs[row + r] * ups;
#endif
      }
    }
  }
  let pack = wid.x * (TILE / 4u) + lid.x;
  if (pack >= COLUMNS / 4u) {
    return;
  }
  for (var r = 0u; r < 4u; r++) {
    let t = first_row + lid.y * 4u + r;
    if (t <= last) {
#if GATED
      finish_gated(t, pack, sums[r], up_sums[r]);
#else
      finish(t, pack, sums[r]);
#endif
    }
  }
}
