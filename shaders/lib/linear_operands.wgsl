// What linear kernels that share no operands between invocations load at once: LOAD elements of the inner axis, eight if
// WIDE, else four.

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

fn products(x: Operand, a: Operand, b: Operand, c: Operand, d: Operand) -> Pack {
  return Pack(product(x, a), product(x, b), product(x, c), product(x, d));
}
