// Computes y = f(a, b) element by element; f is chosen by a flag. One invocation a Pack of one row.
// Layout: a, b, y [T, width]; for biasAdd b is one row.

fn sigmoid(x: Pack) -> Pack {
  return 1.0 / (1.0 + exp(-x));
}

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let t = gid.y;
  if (column >= PACKS) {
    return;
  }
  let a = load_a(a_offset + t * a_stride + column);
#if HAS_B
  let b = load_b(b_offset + t * B_ROW_STRIDE + column);
#endif
#if SILU
  let result = a * sigmoid(a);
#endif
#if ADD
  let result = a + b;
#endif
#if MUL
  let result = a * b;
#endif
#if SWIGLU
  let result = a * sigmoid(a) * b;
#endif
  store_y(y_offset + t * y_stride + column, result);
}
