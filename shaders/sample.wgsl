// Picks one token id for each row of logits: the largest at temperature 0, else a draw by the Gumbel-max trick, from
// what top-k, top-p and min-p keep; −1 for a row without a number.
// Layout: logits and processed [R, VOCAB], controls [R, 7], temperature, tokenIndex and targets [R], seed [R, 2], sampled
// [maxRows]. One workgroup a row. `processed` is for rows with bias or penalties.

#import philox

// Below every logit that may be chosen.
const NO_LOGIT = -3.4e38;

var<workgroup> scores: array<f32, WG_X>;
var<workgroup> ids: array<u32, WG_X>;

// −log(−log(1 − u)), with a series where 1 − u would round: WGSL's log is only absolutely accurate near one.
fn gumbel(bits: u32) -> f32 {
  let u = (f32(bits >> 9u) + 0.5) * exp2(-23.0);
  if (u < 0.01) {
    return -log(u * (1.0 + u * (0.5 + u * (1.0 / 3.0 + u * 0.25))));
  }
  return -log(-log(1.0 - u));
}

#if PROCESSED
var<private> is_processed: bool;

fn wants_processing(r: u32) -> bool {
  let c = r * controls_stride;
  return load_controls(c + 3u) != 1.0 || load_controls(c + 4u) != 0.0 || load_controls(c + 5u) != 0.0
    || load_controls(c + 6u) != 0.0;
}
#endif

fn logit_at(r: u32, id: u32) -> f32 {
#if PROCESSED
  if (is_processed) {
    return load_processed(processed_offset + r * processed_stride + id);
  }
#endif
  return load_logits(logits_offset + r * logits_stride + id);
}

#if TRUNCATES
const GROUPS = 16u;
// Logits that an invocation can keep to itself: 2048 are kept in all.
const MAX_MINE = 2048u / WG_X;

var<workgroup> partial_low: array<vec4<f32>, WG_X>;
var<workgroup> partial_high: array<vec4<f32>, WG_X>;
var<workgroup> totals: array<vec4<f32>, 2>;
var<workgroup> bound: f32;

var<private> mine: array<f32, MAX_MINE>;

// Integers in the order of the floats, and back. Both zeros have one key; NaN has none.
fn key_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
}

fn logits_of(keys: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(select(~keys, keys & vec4<u32>(0x7fffffffu), keys >= vec4<u32>(0x80000000u)));
}

// Eight sums over the workgroup, each in the same order whatever else runs.
fn sum_lanes(lane: u32, low: vec4<f32>, high: vec4<f32>) -> array<vec4<f32>, 2> {
  partial_low[lane] = low;
  partial_high[lane] = high;
  workgroupBarrier();
  if (lane < GROUPS) {
    var sum_low = vec4<f32>();
    var sum_high = vec4<f32>();
    for (var i = lane; i < loop_bound(WG_X); i += GROUPS) {
      sum_low += partial_low[i];
      sum_high += partial_high[i];
    }
    partial_low[lane] = sum_low;
    partial_high[lane] = sum_high;
  }
  workgroupBarrier();
  if (lane == 0u) {
    var sum_low = vec4<f32>();
    var sum_high = vec4<f32>();
    for (var i = 0u; i < loop_bound(GROUPS); i++) {
      sum_low += partial_low[i];
      sum_high += partial_high[i];
    }
    totals = array<vec4<f32>, 2>(sum_low, sum_high);
  }
  return workgroupUniformLoad(&totals);
}

// exp((logit − top) / heat), also where both are infinite.
fn weight_of(logit: f32, top: f32, heat: f32) -> f32 {
  if (logit >= top) {
    return 1.0;
  }
  return exp((logit - top) / heat);
}

// The smallest logit that top-k, top-p and min-p keep.
fn kept_floor(r: u32, lane: u32, heat: f32) -> f32 {
  let top_k = load_controls(r * controls_stride);
  let top_p = load_controls(r * controls_stride + 1u);
  let min_p = load_controls(r * controls_stride + 2u);
  let has_search = top_k > 0.0 || top_p < 1.0;
  if (heat <= 0.0 || (!has_search && min_p <= 0.0)) {
    return NO_LOGIT;
  }
  var lane_top = NO_LOGIT;
  for (var id = lane; id < loop_bound(VOCAB); id += WG_X) {
    let logit = logit_at(r, id);
    if (logit > lane_top) {
      lane_top = logit;
    }
  }
  scores[lane] = lane_top;
  workgroupBarrier();
  var top = NO_LOGIT;
  var rank = 1u;
  for (var i = 0u; i < loop_bound(WG_X); i++) {
    let other = scores[i];
    top = max(top, other);
    if (other > lane_top || (other == lane_top && i < lane)) {
      rank++;
    }
  }
  var floor_key = key_of(NO_LOGIT);
  if (has_search) {
    // The k-th largest of the invocations' maxima is a lower bound of the k-th largest logit. What is not below it is
    // little, mostly, and found in one pass; then the search below reads that and not the whole row again and again.
    if (rank == min(select(NUCLEUS_RANK, u32(top_k), top_k > 0.0), WG_X)) {
      bound = lane_top;
    }
    let least = workgroupUniformLoad(&bound);
    var num_mine = 0u;
    var all_weight = 0.0;
    var mine_weight = 0.0;
    for (var id = lane; id < loop_bound(VOCAB); id += WG_X) {
      let logit = logit_at(r, id);
      var weight = 0.0;
      if (top_k <= 0.0 && logit > NO_LOGIT) {
        weight = weight_of(logit, top, heat);
        all_weight += weight;
      }
      if (logit >= least) {
        mine_weight += weight;
        if (num_mine < MAX_MINE) {
          mine[num_mine] = logit;
        }
        num_mine++;
      }
    }
    let found = sum_lanes(lane, vec4<f32>(f32(num_mine > MAX_MINE), all_weight, mine_weight, 0.0), vec4<f32>())[0];
    let has_enough = select(found.z >= top_p * found.y, top_k <= f32(WG_X), top_k > 0.0);
    let reads_mine = found.x == 0.0 && has_enough;
    let num_reads = select((VOCAB + WG_X - 1u - lane) / WG_X, num_mine, reads_mine);
    // The largest key such that the logits from there on weigh `wanted` together: top-k counts them, top-p sums exp.
    // Each pass tries seven keys and so settles three bits.
    for (var search = 0u; search < loop_bound(2u); search++) {
      let counts = search == 0u;
      if (select(top_p >= 1.0, top_k <= 0.0, counts)) {
        continue;
      }
      var wanted = select(top_p * found.y, top_k, counts);
      for (var pass_index = 0u; pass_index < loop_bound(11u); pass_index++) {
        // Steps of 2^29, 2^26, … 2^2, 1, up to the largest logit.
        let step = 1u << u32(max(29 - 3 * i32(pass_index), 0));
        let room = vec4<u32>(max(key_of(top), floor_key) - floor_key);
        let low_logits = logits_of(floor_key + min(vec4<u32>(0u, 1u, 2u, 3u) * step, room));
        let high_logits = logits_of(floor_key + min(vec4<u32>(4u, 5u, 6u, 7u) * step, room));
        var low = vec4<f32>();
        var high = vec4<f32>();
        for (var i = 0u; i < num_reads; i++) {
          var logit = 0.0;
          if (reads_mine) {
            logit = mine[i];
          } else {
            logit = logit_at(r, lane + i * WG_X);
          }
          if (logit >= low_logits.x) {
            var weight = 1.0;
            if (!counts) {
              weight = weight_of(logit, top, heat);
            }
            low += select(vec4<f32>(), vec4<f32>(weight), vec4<f32>(logit) >= low_logits);
            high += select(vec4<f32>(), vec4<f32>(weight), vec4<f32>(logit) >= high_logits);
          }
        }
        let sums = sum_lanes(lane, low, high);
        // Top-p is a share of what top-k kept, which is what the first key of the first pass has.
        if (!counts && pass_index == 0u && top_k > 0.0) {
          wanted = top_p * sums[0].x;
        }
        let low_reached = vec4<u32>(sums[0] >= vec4<f32>(wanted));
        let high_reached = vec4<u32>(sums[1] >= vec4<f32>(wanted));
        let num_reached = dot(low_reached.yzw, vec3<u32>(1u)) + dot(high_reached, vec4<u32>(1u));
        floor_key += min(num_reached * step, room.x);
      }
    }
  }
  var least_kept = logits_of(vec4<u32>(floor_key)).x;
  if (min_p > 0.0) {
    least_kept = max(least_kept, top + heat * log(min_p));
  }
  // The barrier that `scores` needs before it is written again.
  workgroupBarrier();
  return min(least_kept, top);
}
#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = wid.x;
  let heat = load_temperature(r);
  let seed_words = vec2<u32>(load_seed(2u * r), load_seed(2u * r + 1u));
#if PROCESSED
  is_processed = wants_processing(r);
#endif
#if TRUNCATES
  let least_kept = kept_floor(r, lane, heat);
#else
  let least_kept = NO_LOGIT;
#endif
  var best_score = NO_LOGIT;
  var best = 0u;
  // Four ids share one block of random numbers; an invocation takes whole blocks.
  for (var block = lane; block * 4u < loop_bound(VOCAB); block += WG_X) {
    var logits4 = vec4<f32>(NO_LOGIT);
    let num_ids = min(VOCAB - block * 4u, 4u);
#if PROCESSED
    let num_processed = select(0u, num_ids, is_processed);
    for (var i = 0u; i < num_processed; i++) {
      let logit = load_processed(processed_offset + r * processed_stride + block * 4u + i);
      if (logit >= least_kept) {
        logits4[i] = logit;
      }
    }
#else
    let num_processed = 0u;
#endif
    for (var i = num_processed; i < num_ids; i++) {
      let logit = load_logits(logits_offset + r * logits_stride + block * 4u + i);
      if (logit >= least_kept) {
        logits4[i] = logit;
      }
    }
    if (all(logits4 == vec4<f32>(NO_LOGIT))) {
      continue;
    }
    var noise = vec4<u32>();
    if (heat > 0.0) {
      noise = philox(vec4<u32>(block, load_tokenIndex(r), 0u, 0u), seed_words);
    }
    for (var i = 0u; i < 4u; i++) {
      var score = logits4[i];
      if (heat > 0.0) {
        score = score / heat + gumbel(noise[i]);
      }
      if (logits4[i] > NO_LOGIT && score > best_score) {
        best_score = score;
        best = block * 4u + i;
      }
    }
  }
  scores[lane] = best_score;
  ids[lane] = best;
  for (var step = loop_bound(WG_X / 2u); step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      let other = scores[lane + step];
      if (other > scores[lane] || (other == scores[lane] && ids[lane + step] < ids[lane])) {
        scores[lane] = other;
        ids[lane] = ids[lane + step];
      }
    }
  }
  if (lane == 0u) {
    // A row without a number, as when f16 overflowed, gives no token.
    store_sampled(u32(load_targets(r)), select(-1, i32(ids[0]), scores[0] > NO_LOGIT));
  }
}
