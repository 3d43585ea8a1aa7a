// Computes y = act(x · wᵀ + bias) + residual as linear_tile, with four columns and, if MANY, four rows an invocation. All
// sums are spelled out: compilers that leave loops and indexed arrays as they are would keep an array in memory.

#import linear_epilogue

fn columns_at(at: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    load_w(at),
    load_w(at + w_stride),
    load_w(at + 2u * w_stride),
    load_w(at + 3u * w_stride),
  );
}

#if GATED
fn finish_row(t: u32, pack: u32, sum: Pack, up_sum: Pack) {
  if (t < y_rows()) {
    finish_gated(t, pack, sum, up_sum);
  }
}
#else
fn finish_row(t: u32, pack: u32, sum: Pack) {
  if (t < y_rows()) {
    finish(t, pack, sum);
  }
}
#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let pack = gid.x;
  if (pack >= COLUMNS / PACK) {
    return;
  }
  let first = gid.y * ROWS;
  let w_row = w_offset + pack * PACK * w_stride;
  let x_row = x_offset + first * x_stride;
  var sum0 = Pack();
#if GATED
  let up_row = w_row + COLUMNS * w_stride;
  var up0 = Pack();
#endif
#if MANY
  // Rows past the end repeat the last one, so that no load is out of range; they are not stored.
  let last = y_rows() - 1u;
  let x_row1 = x_offset + min(first + 1u, last) * x_stride;
  let x_row2 = x_offset + min(first + 2u, last) * x_stride;
  let x_row3 = x_offset + min(first + 3u, last) * x_stride;
  var sum1 = Pack();
  var sum2 = Pack();
  var sum3 = Pack();
#if GATED
  var up1 = Pack();
  var up2 = Pack();
  var up3 = Pack();
#endif
#endif
  for (var k = 0u; k < loop_bound(INNER / PACK); k++) {
    let columns = columns_at(w_row + k);
    let x0 = load_x(x_row + k);
    sum0 += x0 * columns;
#if GATED
    let up_columns = columns_at(up_row + k);
    up0 += x0 * up_columns;
#endif
#if MANY
    let x1 = load_x(x_row1 + k);
    let x2 = load_x(x_row2 + k);
    let x3 = load_x(x_row3 + k);
    sum1 += x1 * columns;
    sum2 += x2 * columns;
    sum3 += x3 * columns;
#if GATED
    up1 += x1 * up_columns;
    up2 += x2 * up_columns;
    up3 += x3 * up_columns;
#endif
#endif
  }
#if GATED
  finish_row(first, pack, sum0, up0);
#if MANY
  finish_row(first + 1u, pack, sum1, up1);
  finish_row(first + 2u, pack, sum2, up2);
  finish_row(first + 3u, pack, sum3, up3);
#endif
#else
  finish_row(first, pack, sum0);
#if MANY
  finish_row(first + 1u, pack, sum1);
  finish_row(first + 2u, pack, sum2);
  finish_row(first + 3u, pack, sum3);
#endif
#endif
}
