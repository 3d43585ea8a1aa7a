// Computes y = act(x · wᵀ + bias) + residual for many rows with subgroup matrices (tensor cores): a workgroup of 2 × 2
// subgroups takes 64 × 64 results, operands staged in f16 through workgroup memory 32 inner elements at a time, sums
// in f32. Layout as linear_tile, with x and w native f16. Matrices have MAT_M × MAT_N results and MAT_K products each.

#import linear_epilogue

const EDGE: u32 = 64u;
const STEP_PACKS: u32 = 8u;
// Packs of a staged line: two more than it holds, to spread the banks and keep lines at multiples of 16 bytes.
const LINE: u32 = STEP_PACKS + 2u;
// Results of a subgroup in each direction, and its matrices.
const SHARE: u32 = EDGE / 2u;
const ROWS: u32 = SHARE / MAT_M;
const COLS: u32 = SHARE / MAT_N;
const RESULTS: u32 = MAT_M * MAT_N;

var<workgroup> xs: array<vec4<f16>, EDGE * LINE>;
var<workgroup> ws: array<vec4<f16>, EDGE * LINE>;
// A matrix of each subgroup at a time on its way out: its elements cannot be reached where it is.
var<workgroup> results: array<f32, 4u * RESULTS>;
#if GATED
var<workgroup> us: array<vec4<f16>, EDGE * LINE>;
var<workgroup> up_results: array<f32, 4u * RESULTS>;
#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let last = y_rows() - 1u;
  let subgroup = lane / SUBGROUP;
  let first_row = (subgroup / 2u) * SHARE;
  let first_column = (subgroup % 2u) * SHARE;
  var sums: array<subgroup_matrix_result<f32, MAT_N, MAT_M>, ROWS * COLS>;
#if GATED
  var up_sums: array<subgroup_matrix_result<f32, MAT_N, MAT_M>, ROWS * COLS>;
#endif
  for (var k = 0u; k < loop_bound(INNER / 4u); k += STEP_PACKS) {
    workgroupBarrier();
    for (var i = lane; i < loop_bound(EDGE * STEP_PACKS); i += WG_X) {
      let line = i / STEP_PACKS;
      let pack = k + i % STEP_PACKS;
      var a = vec4<f16>();
      var b = vec4<f16>();
      let w_line = w_offset + min(wid.x * EDGE + line, COLUMNS - 1u) * w_stride + pack;
      if (pack < INNER / 4u) {
        // Rows and columns past the end repeat the last one; their results are not stored.
        a = x[x_offset + min(wid.y * EDGE + line, last) * x_stride + pack];
        b = w[w_line];
      }
      xs[line * LINE + i % STEP_PACKS] = a;
      ws[line * LINE + i % STEP_PACKS] = b;
#if GATED
      var c = vec4<f16>();
      if (pack < INNER / 4u) {
        c = w[w_line + COLUMNS * w_stride];
      }
      us[line * LINE + i % STEP_PACKS] = c;
#endif
    }
    workgroupBarrier();
    for (var kk = 0u; kk < STEP_PACKS; kk += MAT_K / 4u) {
      for (var r = 0u; r < ROWS; r++) {
        let a = subgroupMatrixLoad<subgroup_matrix_left<f16, MAT_K, MAT_M>, row_major>(
          &xs, (first_row + r * MAT_M) * LINE + kk, LINE);
        for (var c = 0u; c < COLS; c++) {
          let at = (first_column + c * MAT_N) * LINE + kk;
          let b = subgroupMatrixLoad<subgroup_matrix_right<f16, MAT_N, MAT_K>, col_major>(&ws, at, LINE);
          sums[r * COLS + c] = subgroupMatrixMultiplyAccumulate(a, b, sums[r * COLS + c]);
#if GATED
          let u = subgroupMatrixLoad<subgroup_matrix_right<f16, MAT_N, MAT_K>, col_major>(&us, at, LINE);
          up_sums[r * COLS + c] = subgroupMatrixMultiplyAccumulate(a, u, up_sums[r * COLS + c]);
#endif
        }
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var c = 0u; c < COLS; c++) {
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&results, subgroup * RESULTS, sums[r * COLS + c], MAT_N);
#if GATED
      subgroupMatrixStore<row_major>(&up_results, subgroup * RESULTS, up_sums[r * COLS + c], MAT_N);
#endif
      workgroupBarrier();
      for (var i = lane % SUBGROUP; i < RESULTS / 4u; i += SUBGROUP) {
        let t = wid.y * EDGE + first_row + r * MAT_M + i / (MAT_N / 4u);
        let pack = (wid.x * EDGE + first_column + c * MAT_N) / 4u + i % (MAT_N / 4u);
        if (t <= last && pack < COLUMNS / 4u) {
          let at = subgroup * RESULTS + i * 4u;
          let sum = vec4<f32>(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
#if GATED
          let up = vec4<f32>(up_results[at], up_results[at + 1u], up_results[at + 2u], up_results[at + 3u]);
          finish_gated(t, pack, sum, up);
#else
          finish(t, pack, sum);
#endif
        }
      }
    }
  }
}
