// Computes causal attention for ROWS query rows at a time: TOKENS consecutive tokens × HEADS query heads that share a
// KV head, so that every key and value is loaded once for all of them. Online softmax over tiles of WG_X keys.
// Layout: q, y [T, heads · HEAD_DIM], caches [blocks, KV_HEADS, BLOCK_SIZE, HEAD_DIM], blockTables [S, MAX_BLOCKS].
// With SPLIT each workgroup takes SPLIT_KEYS keys of one token and leaves an unnormalised sum and (max, sum of weights).

const HEAD_PACKS: u32 = HEAD_DIM / PACK;
const ROWS: u32 = TOKENS * HEADS;
// In the second half of a tile LANES_PER_KEY invocations share a key, and KEY_GROUPS keys are taken at once.
const LANES_PER_KEY: u32 = min(HEAD_PACKS, WG_X);
const KEY_GROUPS: u32 = WG_X / LANES_PER_KEY;
const OWNED: u32 = (HEAD_PACKS + WG_X - 1u) / WG_X;
const PARTS: u32 = WG_X / ROWS;
const LOWEST: f32 = -3.4e38;

var<workgroup> query: array<Pack, ROWS * HEAD_PACKS>;
var<workgroup> weights: array<f32, ROWS * WG_X>;
var<workgroup> parts: array<f32, WG_X>;
var<workgroup> row_max: array<f32, ROWS>;
var<workgroup> row_sum: array<f32, ROWS>;
var<workgroup> rescale: array<f32, ROWS>;
var<workgroup> merged: array<Pack, WG_X>;

#import paged_attention

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first_head = wid.x * HEADS;
  let kv_head = first_head / HEADS_PER_KV;
  let first_token = wid.y * TOKENS;
  let last_token = min(first_token + TOKENS, q_rows()) - 1u;
#if SPLIT
  // Plans have splits for the longest context; those beyond this one are not merged.
  if (wid.z * SPLIT_KEYS >= u32(load_contextLens(sequence_of(first_token)))) {
    return;
  }
#endif

  for (var i = lane; i < loop_bound(ROWS * HEAD_PACKS); i += WG_X) {
    let row = i / HEAD_PACKS;
    let t = min(first_token + row / HEADS, last_token);
    query[i] = load_q(q_offset + t * q_stride + (first_head + row % HEADS) * HEAD_PACKS + i % HEAD_PACKS) * SCALE;
  }
  if (lane < ROWS) {
    row_max[lane] = LOWEST;
    row_sum[lane] = 0.0;
  }
  var sums: array<Pack, ROWS * OWNED>;

  // The tokens of a tile may belong to several sequences; each is attended in turn by its own rows.
  let last_sequence = sequence_of(last_token);
  for (var sequence = sequence_of(first_token); sequence <= last_sequence; sequence++) {
    let begin = u32(load_cuSeqlensQ(sequence));
    let end = u32(load_cuSeqlensQ(sequence + 1u));
    let context = u32(load_contextLens(sequence));
    // Keys that the last of this tile's tokens in the sequence sees; earlier tokens see fewer.
    let visible = context - (end - 1u - min(last_token, end - 1u));
#if SPLIT
    let tile_begin = wid.z * SPLIT_KEYS;
    let num_keys = min(visible, tile_begin + SPLIT_KEYS);
#else
    let tile_begin = 0u;
    let num_keys = visible;
#endif
    for (var tile = tile_begin; tile < num_keys; tile += WG_X) {
      let key = tile + lane;
      // Spelled out: without an initialiser some drivers keep the values of the last round.
      var scores = array<f32, ROWS>();
      workgroupBarrier();
      if (key < num_keys) {
        let cache = cache_row(sequence, kv_head, key);
        for (var i = 0u; i < loop_bound(HEAD_PACKS); i++) {
          let k = load_kCache(cache + i);
          for (var row = 0u; row < ROWS; row++) {
            scores[row] += product(query[row * HEAD_PACKS + i], k);
          }
        }
      }
      for (var row = 0u; row < ROWS; row++) {
        let t = first_token + row / HEADS;
        let sees = t >= begin && t < end && key < num_keys && key < context - (end - 1u - t);
        scores[row] = select(LOWEST, scores[row], sees);
        weights[row * WG_X + lane] = scores[row];
      }
      workgroupBarrier();
      // PARTS invocations a row take the maximum of WG_X / PARTS scores each.
      let part_row = lane / PARTS;
      if (part_row < ROWS) {
        var highest = LOWEST;
        for (var j = lane % PARTS; j < loop_bound(WG_X); j += PARTS) {
          highest = max(highest, weights[part_row * WG_X + j]);
        }
        parts[lane] = highest;
      }
      workgroupBarrier();
      if (lane < ROWS) {
        var highest = row_max[lane];
        for (var j = 0u; j < loop_bound(PARTS); j++) {
          highest = max(highest, parts[lane * PARTS + j]);
        }
        rescale[lane] = exp(row_max[lane] - highest);
        row_max[lane] = highest;
      }
      workgroupBarrier();
      for (var row = 0u; row < ROWS; row++) {
        // A row that sees nothing yet has LOWEST as its maximum; its weights must be zero, not exp(0).
        weights[row * WG_X + lane] = select(exp(scores[row] - row_max[row]), 0.0, scores[row] == LOWEST);
      }
      workgroupBarrier();
      if (part_row < ROWS) {
        var sum = 0.0;
        for (var j = lane % PARTS; j < loop_bound(WG_X); j += PARTS) {
          sum += weights[part_row * WG_X + j];
        }
        parts[lane] = sum;
      }
      for (var o = 0u; o < OWNED; o++) {
        let i = lane % LANES_PER_KEY + o * WG_X;
        for (var row = 0u; row < ROWS; row++) {
          sums[o * ROWS + row] *= rescale[row];
        }
        if (i < HEAD_PACKS) {
          let tile_keys = min(WG_X, num_keys - tile);
          for (var j = lane / LANES_PER_KEY; j < tile_keys; j += KEY_GROUPS) {
            let v = load_vCache(cache_row(sequence, kv_head, tile + j) + i);
            for (var row = 0u; row < ROWS; row++) {
              sums[o * ROWS + row] += weights[row * WG_X + j] * v;
            }
          }
        }
      }
      workgroupBarrier();
      if (lane < ROWS) {
        var sum = row_sum[lane] * rescale[lane];
        for (var j = 0u; j < loop_bound(PARTS); j++) {
          sum += parts[lane * PARTS + j];
        }
        row_sum[lane] = sum;
      }
    }
  }

  for (var o = 0u; o < OWNED; o++) {
    for (var row = 0u; row < loop_bound(ROWS); row++) {
      workgroupBarrier();
      merged[lane] = sums[o * ROWS + row];
      workgroupBarrier();
      let i = lane + o * WG_X;
      let t = first_token + row / HEADS;
      if (lane < LANES_PER_KEY && i < HEAD_PACKS && t <= last_token) {
        var sum = merged[lane];
        for (var group = 1u; group < loop_bound(KEY_GROUPS); group++) {
          sum += merged[lane + group * LANES_PER_KEY];
        }
        let head = first_head + row % HEADS;
#if SPLIT
        let slot = (t * NUM_HEADS + head) * SPLITS + wid.z;
        store_partial(slot * HEAD_PACKS + i, sum);
        if (i == 0u) {
          store_stats(slot, vec2<f32>(row_max[row], row_sum[row]));
        }
#else
        store_y(y_offset + t * y_stride + head * HEAD_PACKS + i, sum / row_sum[row]);
#endif
      }
    }
  }
}
