// Copies k and v of each token to its slot in the paged cache; a negative slot is skipped.
// Layout: k, v [T, KV_HEADS · HEAD_DIM], caches [blocks, KV_HEADS, BLOCK_SIZE, HEAD_DIM]. One invocation a Pack.

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let t = gid.y;
  let slot = load_slots(t);
  if (column >= PACKS || slot < 0) {
    return;
  }
  let head_packs = HEAD_DIM / PACK;
  let block = u32(slot) / BLOCK_SIZE;
  let head = column / head_packs;
  let row = (block * KV_HEADS + head) * BLOCK_SIZE + u32(slot) % BLOCK_SIZE;
  let target_pack = row * head_packs + column % head_packs;
  store_kCache(target_pack, load_k(k_offset + t * k_stride + column));
  store_vCache(target_pack, load_v(v_offset + t * v_stride + column));
}
