// Roof probe: eight independent chains of int8 dot products of four, each fed by its own last result.

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<i32>;
@group(0) @binding(2) var<uniform> sizes: vec4<u32>;

fn advance(v: i32, w: u32) -> i32 {
  return v + dot4I8Packed(bitcast<u32>(v), w);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let w = source[0];
  var v0 = i32(gid.x);
  var v1 = v0 + 1;
  var v2 = v0 + 2;
  var v3 = v0 + 3;
  var v4 = v0 + 4;
  var v5 = v0 + 5;
  var v6 = v0 + 6;
  var v7 = v0 + 7;
  // sizes.x: rounds.
  for (var n = 0u; n < sizes.x; n++) {
    v0 = advance(v0, w);
    v1 = advance(v1, w);
    v2 = advance(v2, w);
    v3 = advance(v3, w);
    v4 = advance(v4, w);
    v5 = advance(v5, w);
    v6 = advance(v6, w);
    v7 = advance(v7, w);
  }
  result[gid.x] = v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7;
}
