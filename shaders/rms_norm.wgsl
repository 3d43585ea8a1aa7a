// Computes y = x / sqrt(mean(x²) + EPS) · weight, statistics in f32. One workgroup a row; with ONE_SUBGROUP it is a
// subgroup, and its sum needs no workgroup memory. Layout: x, y [T, width], weight [width].

#if ONE_SUBGROUP
#else
var<workgroup> partial: array<f32, WG_X>;
#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let t = wid.x;
  let x_row = x_offset + t * x_stride;
  var sum = Pack();
  for (var i = lane; i < loop_bound(PACKS); i += WG_X) {
    let value = load_x(x_row + i);
    sum += value * value;
  }
#if SCALAR
  let mine = sum;
#else
  let mine = dot(sum, Pack(1.0));
#endif
#if ONE_SUBGROUP
  let total = subgroupAdd(mine);
#else
  partial[lane] = mine;
  for (var step = loop_bound(WG_X / 2u); step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      partial[lane] += partial[lane + step];
    }
  }
  workgroupBarrier();
  let total = partial[0];
#endif
  let inverse = inverseSqrt(total / f32(PACKS * PACK) + EPS);
  for (var i = lane; i < loop_bound(PACKS); i += WG_X) {
    store_y(y_offset + t * y_stride + i, load_x(x_row + i) * inverse * load_weight(i));
  }
}
