// Computes y = act(x · wᵀ + bias) + residual, a tile of ROWS × 4 results an invocation, four products a load.
// Layout as linear_naive, with INNER and COLUMNS multiples of four. Registers hold the tile: no barrier.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let pack = gid.x;
  let first = gid.y * ROWS;
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
  for (var k = 0u; k < loop_bound(INNER / 4u); k++) {
    let a = load_w(w0 + k);
    let b = load_w(w1 + k);
    let c = load_w(w2 + k);
    let d = load_w(w3 + k);
    for (var r = 0u; r < ROWS; r++) {
      let x = load_x(x_offset + min(first + r, last) * x_stride + k);
      sums[r] += Pack(dot(x, a), dot(x, b), dot(x, c), dot(x, d));
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    let t = first + r;
    if (t > last) {
      return;
    }
    var result = sums[r];
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
}
