// Writes normal random numbers into elements [offset, offset + count) of `numbers`. Layout: part [5] of (offset, count,
// first, seed, stream), distribution [2] of (mean, deviation), numbers [N]. One invocation the eight numbers of a Philox
// block; with PAIRS, which f16 needs, it writes them by the words in which they lie.
// Logarithm, sine and cosine are spelled out: WGSL's own are only absolutely accurate, and too coarse.

#import philox

const LN2 = 0.693147181;
const TAU = 6.28318531;

// Uniform in (0, 1), exact.
fn unit_of(bits: vec4<u32>) -> vec4<f32> {
  return (vec4<f32>(bits) + 0.5) * 0x1p-16;
}

// Natural logarithm of numbers in (0, 1): exponent and a mantissa between √½ and √2, whose logarithm is a series.
fn log_of(u: vec4<f32>) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(u);
  let exponent = bitcast<vec4<i32>>(bits - 0x3f3504f3u) >> vec4<u32>(23u);
  let mantissa = bitcast<vec4<f32>>(bits - (bitcast<vec4<u32>>(exponent) << vec4<u32>(23u)));
  let s = (mantissa - 1.0) / (mantissa + 1.0);
  let t = s * s;
  let series = 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0)))));
  return vec4<f32>(exponent) * LN2 + series;
}

struct Normals {
  // Numbers 0, 2, 4, 6 of the block.
  even: vec4<f32>,
  // 1, 3, 5, 7.
  odd: vec4<f32>,
}

// Box and Muller: a word is a pair, its high half the radius and its low half the angle.
fn normals(words: vec4<u32>) -> Normals {
  let radius = sqrt(-2.0 * log_of(unit_of(words >> vec4<u32>(16u))));
  // The nearest quarter turn, and what is left of the angle: exact, and so small that few terms of the series do.
  let turns = unit_of(words & vec4<u32>(0xffffu));
  let quarter = round(turns * 4.0);
  let angle = (turns - quarter * 0.25) * TAU;
  let t = angle * angle;
  let s = angle * (1.0 - t * (1.0 / 6.0 - t * (1.0 / 120.0 - t * (1.0 / 5040.0 - t * (1.0 / 362880.0)))));
  let c = 1.0 - t * (1.0 / 2.0 - t * (1.0 / 24.0 - t * (1.0 / 720.0 - t * (1.0 / 40320.0))));
  let q = vec4<u32>(quarter);
  let is_swapped = (q & vec4<u32>(1u)) == vec4<u32>(1u);
  // Quarters 1 and 2 turn the sign of the cosine, 2 and 3 that of the sine.
  let cosine = select(c, s, is_swapped) * (1.0 - vec4<f32>((q + 1u) & vec4<u32>(2u)));
  let sine = select(s, c, is_swapped) * (1.0 - vec4<f32>(q & vec4<u32>(2u)));
  let mean = load_distribution(0u);
  let scale = load_distribution(1u) * radius;
  return Normals(mean + scale * cosine, mean + scale * sine);
}

#if PAIRS
// Two numbers that share a word; one of them may not be the part's, and then that half stays.
fn write_word(at: u32, offset: u32, count: u32, values: vec2<f32>) {
  let is_written = vec2<u32>(at, at + 1u) < vec2<u32>(count);
  let word = (offset + at) / 2u;
  var pair = values;
  for (var is_shared = is_written.x != is_written.y; is_shared; is_shared = false) {
    pair = select(load_numbers(word), pair, is_written);
  }
  if (any(is_written)) {
    store_numbers(word, pair);
  }
}
#else
fn write_pair(at: u32, offset: u32, count: u32, values: vec2<f32>) {
  if (at < count) {
    store_numbers(offset + at, values.x);
  }
  if (at + 1u < count) {
    store_numbers(offset + at + 1u, values.y);
  }
}
#endif

@compute @workgroup_size(WG_X)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let offset = load_part(0u);
  let count = load_part(1u);
  let first = load_part(2u);
  let key = vec2<u32>(load_part(3u), load_part(4u));
  let block = first / 8u + (wid.y * grid.x + wid.x) * WG_X + lane;
#if PAIRS
  // Where numbers lie an odd way from their elements, a word holds the second of one pair and the first of the next.
  let shift = (offset ^ first) & 1u;
#else
  let shift = 0u;
#endif
  if (count == 0u || block > (first + (count - 1u) + shift) / 8u) {
    return;
  }
  let mine = normals(philox(vec4<u32>(block, 0u, 0u, 0u), key));
#if PAIRS
  var low = mine.even;
  var high = mine.odd;
  // A loop of no rounds is skipped even where branches are only masked.
  for (var is_shifted = shift == 1u; is_shifted; is_shifted = false) {
    let before = normals(philox(vec4<u32>(block - 1u, 0u, 0u, 0u), key));
    low = vec4<f32>(before.odd.w, mine.odd.xyz);
    high = mine.even;
  }
  // Of the first word, from the first number that is written; what lies before that wraps to more than any count.
  let at = block * 8u - shift - first;
  write_word(at, offset, count, vec2<f32>(low.x, high.x));
  write_word(at + 2u, offset, count, vec2<f32>(low.y, high.y));
  write_word(at + 4u, offset, count, vec2<f32>(low.z, high.z));
  write_word(at + 6u, offset, count, vec2<f32>(low.w, high.w));
#else
  let at = block * 8u - first;
  write_pair(at, offset, count, vec2<f32>(mine.even.x, mine.odd.x));
  write_pair(at + 2u, offset, count, vec2<f32>(mine.even.y, mine.odd.y));
  write_pair(at + 4u, offset, count, vec2<f32>(mine.even.z, mine.odd.z));
  write_pair(at + 6u, offset, count, vec2<f32>(mine.even.w, mine.odd.w));
#endif
}
