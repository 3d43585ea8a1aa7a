// Picks one token id for each row of logits: the largest at temperature 0, else a draw by the Gumbel-max trick.
// Layout: logits [R, VOCAB], temperature, tokenIndex and targets [R], seed [R, 2], sampled [maxRows]. One workgroup a row.

#import philox

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

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = wid.x;
  let heat = load_temperature(r);
  let key = vec2<u32>(load_seed(2u * r), load_seed(2u * r + 1u));
  var best_score = -3.4e38;
  var best = 0u;
  // Four ids share one block of random numbers; an invocation takes whole blocks.
  for (var block = lane; block * 4u < loop_bound(VOCAB); block += WG_X) {
    var noise = vec4<u32>();
    if (heat > 0.0) {
      noise = philox(vec4<u32>(block, load_tokenIndex(r), 0u, 0u), key);
    }
    for (var i = 0u; i < 4u; i++) {
      let id = block * 4u + i;
      if (id >= VOCAB) {
        break;
      }
      var score = load_logits(logits_offset + r * logits_stride + id);
      if (heat > 0.0) {
        score = score / heat + gumbel(noise[i]);
      }
      if (score > best_score) {
        best_score = score;
        best = id;
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
    store_sampled(u32(load_targets(r)), i32(ids[0]));
  }
}
