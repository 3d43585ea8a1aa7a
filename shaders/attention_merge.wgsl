// Merges what the splits of attention_rows left: y = Σ exp(maxₛ − max) · sumₛ / Σ exp(maxₛ − max) · totalₛ.
// A split without keys a token sees has a total of zero and adds nothing. One invocation a Pack of y.
// Layout: partial [T, heads, SPLITS, HEAD_DIM], stats [T, heads, SPLITS, 2] of (max, total), y [T, heads · HEAD_DIM].

const HEAD_PACKS: u32 = HEAD_DIM / PACK;

#import sequences

@compute @workgroup_size(WG_X)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let column = gid.x;
  let t = gid.y;
  if (column >= NUM_HEADS * HEAD_PACKS) {
    return;
  }
  let slot = (t * NUM_HEADS + column / HEAD_PACKS) * SPLITS;
  // Plans have splits for the longest context; this one's are fewer.
  let num_splits = min(SPLITS, (u32(load_contextLens(sequence_of(t))) + SPLIT_KEYS - 1u) / SPLIT_KEYS);
  var highest = -3.4e38;
  for (var s = 0u; s < num_splits; s++) {
    highest = max(highest, load_stats(slot + s).x);
  }
  var sum = Pack();
  var total = 0.0;
  for (var s = 0u; s < num_splits; s++) {
    let stats = load_stats(slot + s);
    if (stats.y > 0.0) {
      let weight = exp(stats.x - highest);
      sum += weight * load_partial((slot + s) * HEAD_PACKS + column % HEAD_PACKS);
      total += weight * stats.y;
    }
  }
  store_y(y_offset + t * y_stride + column, sum / total);
}
