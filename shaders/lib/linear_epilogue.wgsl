// What every linear kernel does with a Pack of sums: bias, activation, residual or gate, then the store.

fn activate(value: Pack) -> Pack {
#if SILU
  return value / (1.0 + exp(-value));
#else
  return value;
#endif
}

#if GATED
fn finish_gated(t: u32, pack: u32, gate: Pack, up: Pack) {
  var g = gate;
  var u = up;
#if HAS_BIAS
  g += load_bias(pack);
  u += load_bias(pack + COLUMNS / PACK);
#endif
  store_y(y_offset + t * y_stride + pack, activate(g) * u);
}
#else
fn finish(t: u32, pack: u32, sum: Pack) {
  var result = sum;
#if HAS_BIAS
  result += load_bias(pack);
#endif
  result = activate(result);
#if HAS_RESIDUAL
  result += load_residual(residual_offset + t * residual_stride + pack);
#endif
  store_y(y_offset + t * y_stride + pack, result);
}
#endif
