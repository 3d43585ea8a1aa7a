// What linear kernels that share no operands between invocations load at once: LOAD elements of the inner axis, eight if
// WIDE, else four; of x for one row, of w for PACK columns.

#if WIDE
alias Operand = mat2x4<f32>;

fn load_operand(x_row: u32, k: u32) -> Operand {
  return Operand(load_x(x_row + 2u * k), load_x(x_row + 2u * k + 1u));
}

fn product(a: Operand, b: Operand) -> f32 {
  return dot(a[0], b[0]) + dot(a[1], b[1]);
}
#else
alias Operand = vec4<f32>;

fn load_operand(x_row: u32, k: u32) -> Operand {
  return load_x(x_row + k);
}

fn product(a: Operand, b: Operand) -> f32 {
  return dot(a, b);
}
#endif

fn load_columns(w_row: u32, k: u32) -> array<Operand, PACK> {
  var columns: array<Operand, PACK>;
  for (var c = 0u; c < PACK; c++) {
    columns[c] = load_w(w_row + c * w_stride + k);
  }
  return columns;
}

fn products(x: Operand, columns: array<Operand, PACK>) -> Pack {
  var result: Pack;
  for (var c = 0u; c < PACK; c++) {
    result[c] = product(x, columns[c]);
  }
  return result;
}
