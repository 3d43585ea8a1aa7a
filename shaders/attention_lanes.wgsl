// Computes causal attention with a query row in each invocation: ROWS_EACH rows of TOKENS tokens × HEADS query heads
// that share a KV head. A workgroup is one subgroup; its invocations load neighbouring parts of a key and pass them
// round by shuffle, so rows need no barrier, no workgroup memory and no sum across invocations.
// Layout as attention_rows. Query and sums fill hundreds of registers: for adapters that keep them in a cache.

const HEAD_PACKS: u32 = HEAD_DIM / PACK;
// Loads of a whole key by the workgroup.
const KEY_LOADS: u32 = (HEAD_PACKS + WG_X - 1u) / WG_X;
const LOWEST: f32 = -3.4e38;

#import paged_attention

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first_head = wid.x * HEADS;
  let kv_head = first_head / HEADS_PER_KV;
  let first_token = wid.y * TOKENS;
  let last_token = min(first_token + TOKENS, q_rows()) - 1u;

  // Rows past the end repeat the last token; they are not stored.
  var tokens: array<u32, ROWS_EACH>;
  var heads: array<u32, ROWS_EACH>;
  var query: array<Pack, ROWS_EACH * HEAD_PACKS>;
  for (var r = 0u; r < ROWS_EACH; r++) {
    let row = r * WG_X + lane;
    tokens[r] = first_token + row / HEADS;
    heads[r] = first_head + row % HEADS;
    let begin = q_offset + min(tokens[r], last_token) * q_stride + heads[r] * HEAD_PACKS;
    for (var p = 0u; p < HEAD_PACKS; p++) {
      query[r * HEAD_PACKS + p] = load_q(begin + p) * SCALE;
    }
  }
  var row_max: array<f32, ROWS_EACH>;
  var row_sum: array<f32, ROWS_EACH>;
  var sums: array<Pack, ROWS_EACH * HEAD_PACKS>;
  var scores: array<f32, KEYS * ROWS_EACH>;
  for (var r = 0u; r < ROWS_EACH; r++) {
    row_max[r] = LOWEST;
  }

  // The tokens of a tile may belong to several sequences; each is attended in turn by its own rows.
  let last_sequence = sequence_of(last_token);
  for (var sequence = sequence_of(first_token); sequence <= last_sequence; sequence++) {
    let begin = u32(load_cuSeqlensQ(sequence));
    let end = u32(load_cuSeqlensQ(sequence + 1u));
    let context = u32(load_contextLens(sequence));
    // Keys that the last of this tile's tokens in the sequence sees; earlier tokens see fewer.
    let num_keys = context - (end - 1u - min(last_token, end - 1u));
    for (var tile = 0u; tile < num_keys; tile += KEYS) {
      let tile_keys = min(KEYS, num_keys - tile);
      var highest = row_max;
      for (var j = 0u; j < tile_keys; j++) {
        let cache = cache_row(sequence, kv_head, tile + j);
        // Spelled out: without an initialiser some drivers keep the values of the last round.
        var score = array<f32, ROWS_EACH>();
        for (var load = 0u; load < KEY_LOADS; load++) {
          let mine = load_kCache(cache + min(load * WG_X + lane, HEAD_PACKS - 1u));
          for (var i = 0u; i < min(WG_X, HEAD_PACKS - load * WG_X); i++) {
            let k = subgroupShuffle(mine, i);
            for (var r = 0u; r < ROWS_EACH; r++) {
              score[r] += product(query[r * HEAD_PACKS + load * WG_X + i], k);
            }
          }
        }
        for (var r = 0u; r < ROWS_EACH; r++) {
          let t = tokens[r];
          let sees = t >= begin && t < end && tile + j < context - (end - 1u - t);
          scores[j * ROWS_EACH + r] = select(LOWEST, score[r], sees);
          highest[r] = max(highest[r], scores[j * ROWS_EACH + r]);
        }
      }
      for (var r = 0u; r < ROWS_EACH; r++) {
        let rescale = exp(row_max[r] - highest[r]);
        row_max[r] = highest[r];
        row_sum[r] *= rescale;
        for (var p = 0u; p < HEAD_PACKS; p++) {
          sums[r * HEAD_PACKS + p] *= rescale;
        }
      }
      for (var j = 0u; j < tile_keys; j++) {
        let cache = cache_row(sequence, kv_head, tile + j);
        var weight = array<f32, ROWS_EACH>();
        for (var r = 0u; r < ROWS_EACH; r++) {
          // A row that sees nothing yet has LOWEST as its maximum; its weights must be zero, not exp(0).
          let score = scores[j * ROWS_EACH + r];
          weight[r] = select(exp(score - row_max[r]), 0.0, score == LOWEST);
          row_sum[r] += weight[r];
        }
        for (var load = 0u; load < KEY_LOADS; load++) {
          let mine = load_vCache(cache + min(load * WG_X + lane, HEAD_PACKS - 1u));
          for (var i = 0u; i < min(WG_X, HEAD_PACKS - load * WG_X); i++) {
            let v = subgroupShuffle(mine, i);
            for (var r = 0u; r < ROWS_EACH; r++) {
              sums[r * HEAD_PACKS + load * WG_X + i] += weight[r] * v;
            }
          }
        }
      }
    }
  }

  for (var r = 0u; r < ROWS_EACH; r++) {
    if (r * WG_X + lane < TOKENS * HEADS && tokens[r] <= last_token) {
      let begin = y_offset + tokens[r] * y_stride + heads[r] * HEAD_PACKS;
      for (var p = 0u; p < HEAD_PACKS; p++) {
        store_y(begin + p, sums[r * HEAD_PACKS + p] / row_sum[r]);
      }
    }
  }
}
