// Which sequence a packed token belongs to. Expects cuSeqlensQ.

fn sequence_of(t: u32) -> u32 {
  var sequence = 0u;
  while (sequence + 1u < params.S && t >= u32(load_cuSeqlensQ(sequence + 1u))) {
    sequence++;
  }
  return sequence;
}
