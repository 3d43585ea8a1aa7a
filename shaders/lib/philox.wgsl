// Philox-4x32-10; twin of src/core/philox.ts. Computes four random u32 from a counter and a key.

fn mul_high(a: u32, b: u32) -> u32 {
  let a_low = a & 0xffffu;
  let a_high = a >> 16u;
  let b_low = b & 0xffffu;
  let b_high = b >> 16u;
  let middle = a_high * b_low + ((a_low * b_low) >> 16u);
  let middle2 = a_low * b_high + (middle & 0xffffu);
  return a_high * b_high + (middle >> 16u) + (middle2 >> 16u);
}

// Spelled out, with the steps of the key: a loop takes CPU adapters as long as the rounds.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  let c0 = philox_round(counter, key);
  let c1 = philox_round(c0, key + vec2<u32>(0x9e3779b9u, 0xbb67ae85u));
  let c2 = philox_round(c1, key + vec2<u32>(0x3c6ef372u, 0x76cf5d0au));
  let c3 = philox_round(c2, key + vec2<u32>(0xdaa66d2bu, 0x32370b8fu));
  let c4 = philox_round(c3, key + vec2<u32>(0x78dde6e4u, 0xed9eba14u));
  let c5 = philox_round(c4, key + vec2<u32>(0x1715609du, 0xa9066899u));
  let c6 = philox_round(c5, key + vec2<u32>(0xb54cda56u, 0x646e171eu));
  let c7 = philox_round(c6, key + vec2<u32>(0x5384540fu, 0x1fd5c5a3u));
  let c8 = philox_round(c7, key + vec2<u32>(0xf1bbcdc8u, 0xdb3d7428u));
  return philox_round(c8, key + vec2<u32>(0x8ff34781u, 0x96a522adu));
}

fn philox_round(c: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  let high0 = mul_high(0xd2511f53u, c.x);
  let high1 = mul_high(0xcd9e8d57u, c.z);
  return vec4<u32>(high1 ^ c.y ^ key.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ key.y, 0xd2511f53u * c.x);
}
