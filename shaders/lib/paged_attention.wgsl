// What attention kernels share: which sequence a packed token belongs to, where a key or value lies, dot products.
// Expects HEAD_PACKS and the bindings of the attention family.

#import sequences

fn cache_row(sequence: u32, kv_head: u32, key: u32) -> u32 {
  let block = u32(load_blockTables(sequence * blockTables_stride + key / BLOCK_SIZE));
  return ((block * KV_HEADS + kv_head) * BLOCK_SIZE + key % BLOCK_SIZE) * HEAD_PACKS;
}

fn product(a: Pack, b: Pack) -> f32 {
#if SCALAR
  return a * b;
#else
  return dot(a, b);
#endif
}
