// Computes causal attention for HEADS query heads of one token that share a KV head. A workgroup is one subgroup: each
// invocation scores a key of its own, then all share every value, so that nothing is loaded twice and no barrier is needed.
// Layout as attention_rows.

const HEAD_PACKS: u32 = HEAD_DIM / PACK;
// Packs of a value, and of the sums, that an invocation takes.
const OWNED: u32 = (HEAD_PACKS + WG_X - 1u) / WG_X;
const LOWEST: f32 = -3.4e38;

#import paged_attention

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first_pack = wid.x * HEADS * HEAD_PACKS;
  let kv_head = wid.x * HEADS / HEADS_PER_KV;
  let t = wid.y;
  let sequence = sequence_of(t);
  let num_keys = u32(load_contextLens(sequence)) - (u32(load_cuSeqlensQ(sequence + 1u)) - 1u - t);
  let query = q_offset + t * q_stride + first_pack;

  var row_max: array<f32, HEADS>;
  // Of the keys that this invocation scored.
  var row_sum: array<f32, HEADS>;
  var sums: array<Pack, HEADS * OWNED>;
  for (var r = 0u; r < HEADS; r++) {
    row_max[r] = LOWEST;
  }
  for (var tile = 0u; tile < num_keys; tile += WG_X) {
    let is_key = tile + lane < num_keys;
    let cache = cache_row(sequence, kv_head, min(tile + lane, num_keys - 1u));
    // Spelled out: without an initialiser some drivers keep the values of the last round.
    var scores = array<f32, HEADS>();
    for (var i = 0u; i < loop_bound(HEAD_PACKS); i++) {
      let k = load_kCache(cache + i);
      for (var r = 0u; r < HEADS; r++) {
        scores[r] += product(load_q(query + r * HEAD_PACKS + i), k);
      }
    }
    for (var r = 0u; r < HEADS; r++) {
      let score = select(LOWEST, scores[r] * SCALE, is_key);
      let highest = max(row_max[r], subgroupMax(score));
      let rescale = exp(row_max[r] - highest);
      row_max[r] = highest;
      scores[r] = select(0.0, exp(score - highest), is_key);
      row_sum[r] = row_sum[r] * rescale + scores[r];
      for (var o = 0u; o < OWNED; o++) {
        sums[r * OWNED + o] *= rescale;
      }
    }
    for (var j = 0u; j < min(WG_X, num_keys - tile); j++) {
      let value = cache_row(sequence, kv_head, tile + j);
      for (var o = 0u; o < OWNED; o++) {
        let v = load_vCache(value + min(lane + o * WG_X, HEAD_PACKS - 1u));
        for (var r = 0u; r < HEADS; r++) {
          sums[r * OWNED + o] += subgroupShuffle(scores[r], j) * v;
        }
      }
    }
  }
  for (var r = 0u; r < HEADS; r++) {
    let total = subgroupAdd(row_sum[r]);
    for (var o = 0u; o < OWNED; o++) {
      let i = lane + o * WG_X;
      if (i < HEAD_PACKS) {
        store_y(y_offset + t * y_stride + first_pack + r * HEAD_PACKS + i, sums[r * OWNED + o] / total);
      }
    }
  }
}
