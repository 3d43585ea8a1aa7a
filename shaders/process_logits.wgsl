// Computes y = logits with bias and penalties, for rows whose controls ask for them; other rows of y stay as they are.
// Few workgroups a row, since even one that finds nothing to do takes its time.
// Layout: logits, y [R, VOCAB], controls [R, 7], biasIds (ascending), biasValues [R, maxBiases], tokenCounts
// [maxRows, VOCAB] with the prompt in bit 31 and a count below, targets [R] its rows.

// The row's bias for a token, by binary search.
fn bias_of(r: u32, id: u32, num_biases: u32) -> f32 {
  var low = r * biasIds_stride;
  let end = low + num_biases;
  var high = end;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(load_biasIds(middle)) < id) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  if (low < end && u32(load_biasIds(low)) == id) {
    return load_biasValues(low);
  }
  return 0.0;
}

fn process(r: u32, id: u32, original: f32) -> f32 {
  let repetition = load_controls(r * controls_stride + 3u);
  let presence = load_controls(r * controls_stride + 4u);
  let frequency = load_controls(r * controls_stride + 5u);
  let num_biases = u32(load_controls(r * controls_stride + 6u));
  var logit = original + bias_of(r, id, num_biases);
  if (repetition != 1.0 || presence != 0.0 || frequency != 0.0) {
    let word = load_tokenCounts(u32(load_targets(r)) * tokenCounts_stride + id);
    if (word != 0u) {
      logit = select(logit * repetition, logit / repetition, logit > 0.0);
    }
    let count = word & 0x7fffffffu;
    if (count != 0u) {
      logit -= presence + frequency * f32(count);
    }
  }
  return logit;
}

fn is_neutral(r: u32) -> bool {
  let c = r * controls_stride;
  return load_controls(c + 3u) == 1.0 && load_controls(c + 4u) == 0.0 && load_controls(c + 5u) == 0.0
    && load_controls(c + 6u) == 0.0;
}

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let r = gid.y;
  // A loop of no rounds is skipped even where branches are only masked.
  let end = select(PACKS, 0u, is_neutral(r));
  for (var column = gid.x; column < end; column += WORKGROUPS * WG_X) {
    var value = load_logits(logits_offset + r * logits_stride + column);
    for (var i = 0u; i < loop_bound(PACK); i++) {
#if SCALAR
      value = process(r, column, value);
#else
      value[i] = process(r, column * PACK + i, value[i]);
#endif
    }
    store_y(y_offset + r * y_stride + column, value);
  }
}
