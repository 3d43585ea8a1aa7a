// Roof probe: copies `source` to `result` in vec4 loads and stores.
// BLOCKED: each invocation copies a run of its own; otherwise a workgroup copies its run side by side.

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> sizes: vec4<u32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(global_invocation_id) gid: vec3<u32>,
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  // sizes.x: copies of an invocation.
  let count = sizes.x;
  let stride = select(WG, 1u, BLOCKED);
  var at = select(wid.x * WG * count + lane, gid.x * count, BLOCKED);
  for (var i = 0u; i < count; i++) {
    result[at] = source[at];
    at += stride;
  }
}
