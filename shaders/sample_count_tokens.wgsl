// Counts the tokens of this step for sequences that have penalties: prompt tokens set bit 31 of their word, generated
// ones add 1, and position 0 clears the row first. Layout: ids [T], cuSeqlensQ [S + 1], contextLens [S], targets [S, 3]
// of (whether to count, row, prompt length), tokenCounts [maxRows, VOCAB]. One workgroup a sequence.

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let s = wid.x;
  let is_counted = load_targets(3u * s) != 0;
  let row = u32(load_targets(3u * s + 1u)) * tokenCounts_stride;
  let prompt_length = load_targets(3u * s + 2u);
  let first = load_cuSeqlensQ(s);
  // Loops of no rounds are skipped even where branches are only masked.
  let end = select(first, load_cuSeqlensQ(s + 1u), is_counted);
  let start = load_contextLens(s) - (load_cuSeqlensQ(s + 1u) - first);
  // An invocation owns the ids that are `lane` modulo WG_X, so nobody waits for anybody.
  for (var id = lane; id < select(0u, loop_bound(VOCAB), is_counted && start == 0); id += WG_X) {
    store_tokenCounts(row + id, 0u);
  }
  for (var t = first; t < end; t++) {
    let id = u32(load_ids(u32(t)));
    if (id % WG_X != lane || id >= VOCAB) {
      continue;
    }
    let word = load_tokenCounts(row + id);
    store_tokenCounts(row + id, select(word + 1u, word | 0x80000000u, start + t - first < prompt_length));
  }
}
