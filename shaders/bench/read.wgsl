// Roof probe: streams `source` once in vec4 loads and keeps a sum, so that no load can be left out.
// BLOCKED: each invocation reads a run of its own; otherwise a workgroup reads its run side by side.

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> sizes: vec4<u32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(global_invocation_id) gid: vec3<u32>,
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  // sizes.x: loads of an invocation, a multiple of four.
  let count = sizes.x;
  let stride = select(WG, 1u, BLOCKED);
  var at = select(wid.x * WG * count + lane, gid.x * count, BLOCKED);
  var a = vec4<f32>();
  var b = vec4<f32>();
  var c = vec4<f32>();
  var d = vec4<f32>();
  for (var i = 0u; i < count; i += 4u) {
    a += source[at];
    b += source[at + stride];
    c += source[at + 2u * stride];
    d += source[at + 3u * stride];
    at += 4u * stride;
  }
  result[gid.x] = a + b + c + d;
}
