// Computes causal attention of each query over its sequence's paged keys and values, with an online softmax over
// tiles of WG_X keys, so no score matrix is ever stored. One workgroup a (token, query head). First rung.
// Layout: q, y [T, heads · HEAD_DIM], caches [blocks, KV_HEADS, BLOCK_SIZE, HEAD_DIM], blockTables [S, MAX_BLOCKS].

const HEAD_PACKS: u32 = HEAD_DIM / PACK;
// Packs of the output that one invocation owns: its lane, lane + WG_X, …
const OWNED: u32 = (HEAD_PACKS + WG_X - 1u) / WG_X;

var<workgroup> query: array<Pack, HEAD_PACKS>;
var<workgroup> weights: array<f32, WG_X>;
var<workgroup> scratch: array<f32, WG_X>;

#import paged_attention

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = wid.x;
  let t = wid.y;
  let kv_head = head / HEADS_PER_KV;
  let sequence = sequence_of(t);
  let end = u32(load_cuSeqlensQ(sequence + 1u));
  let num_keys = u32(load_contextLens(sequence)) - (end - t) + 1u;

  for (var i = lane; i < loop_bound(HEAD_PACKS); i += WG_X) {
    query[i] = load_q(q_offset + t * q_stride + head * HEAD_PACKS + i);
  }
  workgroupBarrier();

  var running_max = -3.4e38;
  var running_sum = 0.0;
  var sums: array<Pack, OWNED>;
  for (var tile = 0u; tile < num_keys; tile += WG_X) {
    let key = tile + lane;
    var score = -3.4e38;
    if (key < num_keys) {
      let row = cache_row(sequence, kv_head, key);
      var sum = 0.0;
      for (var i = 0u; i < loop_bound(HEAD_PACKS); i++) {
        sum += product(query[i], load_kCache(row + i));
      }
      score = sum * SCALE;
    }
    scratch[lane] = score;
    workgroupBarrier();
    let tile_keys = min(WG_X, num_keys - tile);
    var new_max = running_max;
    for (var j = 0u; j < tile_keys; j++) {
      new_max = max(new_max, scratch[j]);
    }
    weights[lane] = exp(score - new_max);
    workgroupBarrier();
    let rescale = exp(running_max - new_max);
    running_max = new_max;
    running_sum *= rescale;
    for (var j = 0u; j < tile_keys; j++) {
      running_sum += weights[j];
    }
    for (var o = 0u; o < OWNED; o++) {
      let i = lane + o * WG_X;
      if (i < HEAD_PACKS) {
        var sum = sums[o] * rescale;
        for (var j = 0u; j < tile_keys; j++) {
          sum += weights[j] * load_vCache(cache_row(sequence, kv_head, tile + j) + i);
        }
        sums[o] = sum;
      }
    }
    workgroupBarrier();
  }
  for (var o = 0u; o < OWNED; o++) {
    let i = lane + o * WG_X;
    if (i < HEAD_PACKS) {
      store_y(y_offset + t * y_stride + head * HEAD_PACKS + i, sums[o] / running_sum);
    }
  }
}
