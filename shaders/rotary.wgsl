// Computes y = x with the first ROTARY_DIM dims of every head rotated by the angle of the token's position.
// Layout: x, y [T, heads · HEAD_DIM], table [maxSeqLen, ROTARY_DIM], cosines first. One invocation a Pack of one row.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let t = gid.y;
  if (column >= PACKS) {
    return;
  }
  let row = x_offset + t * x_stride;
  var value = load_x(row + column);
  let dim = (column * PACK) % HEAD_DIM;
  if (dim < ROTARY_DIM) {
    let angles = u32(load_positions(t)) * table_stride;
#if INTERLEAVED
    for (var i = 0u; i < PACK; i += 2u) {
      let angle = angles + (dim + i) / 2u;
      let cosine = load_table(angle);
      let sine = load_table(angle + ROTARY_DIM / 2u);
      let pair = vec2<f32>(value[i], value[i + 1u]);
      value[i] = pair.x * cosine - pair.y * sine;
      value[i + 1u] = pair.y * cosine + pair.x * sine;
    }
#else
    let half = ROTARY_DIM / 2u;
    let angle = angles + (dim % half) / PACK;
    let cosine = load_table(angle);
    let sine = load_table(angle + half / PACK);
    if (dim < half) {
      value = value * cosine - load_x(row + column + half / PACK) * sine;
    } else {
      value = value * cosine + load_x(row + column - half / PACK) * sine;
    }
#endif
  }
  store_y(y_offset + t * y_stride + column, value);
}
