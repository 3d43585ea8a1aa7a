// Roof probe: eight independent chains of multiply-adds in registers. The prelude says what a `Value` is (f32 or
// vec4<f32>), how a chain advances and how it becomes one number.
// Factor and addend come from memory, so that nothing folds; chains stay finite because the factor is below one.

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<uniform> sizes: vec4<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let m = Value(source[0]);
  let c = Value(source[1]);
  var v0 = Value(f32(gid.x));
  var v1 = v0 + c;
  var v2 = v1 + c;
  var v3 = v2 + c;
  var v4 = v3 + c;
  var v5 = v4 + c;
  var v6 = v5 + c;
  var v7 = v6 + c;
  // sizes.x: rounds.
  for (var n = 0u; n < sizes.x; n++) {
    v0 = advance(v0, m, c);
    v1 = advance(v1, m, c);
    v2 = advance(v2, m, c);
    v3 = advance(v3, m, c);
    v4 = advance(v4, m, c);
    v5 = advance(v5, m, c);
    v6 = advance(v6, m, c);
    v7 = advance(v7, m, c);
  }
  result[gid.x] = total(v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7);
}
