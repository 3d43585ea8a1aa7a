// Computes ids[t]: a literal id, or the id sampled in some row of an earlier step.
// Layout: source [T, 2] of (kind, value); sampled [maxRows]. One invocation a token.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let t = gid.x;
  if (t >= params.T) {
    return;
  }
  var id = load_source(2u * t + 1u);
  if (load_source(2u * t) != 0) {
    id = load_sampled(u32(id));
  }
  store_ids(t, id);
}
