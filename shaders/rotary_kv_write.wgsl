// Rotates the query and key heads of a merged projection, and writes keys and values to their slots of the cache.
// Layout: x [T, (NUM_HEADS + 2 · KV_HEADS) · HEAD_DIM] as query, key, value; y [T, NUM_HEADS · HEAD_DIM];
// table [maxSeqLen, ROTARY_DIM], cosines first; caches [blocks, KV_HEADS, BLOCK_SIZE, HEAD_DIM]. One invocation a Pack.

const HEAD_PACKS: u32 = HEAD_DIM / PACK;

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let t = gid.y;
  if (column >= PACKS) {
    return;
  }
  let row = x_offset + t * x_stride;
  let head = column / HEAD_PACKS;
  let pack = column % HEAD_PACKS;
  let dim = pack * PACK;
  var value = load_x(row + column);
  if (head < NUM_HEADS + KV_HEADS && dim < ROTARY_DIM) {
    let half = ROTARY_DIM / 2u;
    let angle = u32(load_positions(t)) * table_stride + (dim % half) / PACK;
    let cosine = load_table(angle);
    let sine = load_table(angle + half / PACK);
    if (dim < half) {
      value = value * cosine - load_x(row + column + half / PACK) * sine;
    } else {
      value = value * cosine + load_x(row + column - half / PACK) * sine;
    }
  }
  if (head < NUM_HEADS) {
    store_y(y_offset + t * y_stride + column, value);
    return;
  }
  let slot = load_slots(t);
  if (slot < 0) {
    return;
  }
  let kv_head = (head - NUM_HEADS) % KV_HEADS;
  let place = ((u32(slot) / BLOCK_SIZE * KV_HEADS + kv_head) * BLOCK_SIZE + u32(slot) % BLOCK_SIZE) * HEAD_PACKS + pack;
  if (head < NUM_HEADS + KV_HEADS) {
    store_kCache(place, value);
  } else {
    store_vCache(place, value);
  }
}
