// Computes y = act(x · wᵀ + bias) + residual for few rows: a workgroup takes 4 columns of all ROWS rows, its
// invocations share the inner axis LOAD elements at a time (8 if WIDE), so that neighbours load neighbouring weights and
// each weight is loaded once.
// Layout as linear_tile. The sums meet in workgroup memory (with SUBGROUPS, first in registers).

var<workgroup> partial: array<Pack, WG_X>;

@compute @workgroup_size(WG_X)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
#if SUBGROUPS
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
  @builtin(subgroup_size) subgroup_size: u32,
#endif
) {
  let pack = wid.x;
  let first = wid.y * ROWS;
  let last = y_rows() - 1u;
  let w0 = w_offset + pack * 4u * w_stride;
  let w1 = w0 + w_stride;
  let w2 = w1 + w_stride;
  let w3 = w2 + w_stride;
#if GATED
  let up = COLUMNS * w_stride;
  var up_sums: array<Pack, ROWS>;
#endif
  var sums: array<Pack, ROWS>;
  for (var k = lane; k < loop_bound(INNER / LOAD); k += WG_X) {
    let a = load_w(w0 + k);
    let b = load_w(w1 + k);
    let c = load_w(w2 + k);
    let d = load_w(w3 + k);
#if GATED
    let e = load_w(w0 + up + k);
    let f = load_w(w1 + up + k);
    let g = load_w(w2 + up + k);
    let h = load_w(w3 + up + k);
#endif
    for (var r = 0u; r < loop_bound(ROWS); r++) {
      let x = load_operand(x_offset + min(first + r, last) * x_stride, k);
      sums[r] += products(x, a, b, c, d);
#if GATED
      up_sums[r] += products(x, e, f, g, h);
#endif
    }
  }
  for (var r = 0u; r < loop_bound(ROWS); r++) {
#if SUBGROUPS
    let total = reduce(sums[r], lane, subgroup_lane, subgroup_size);
#else
    let total = reduce(sums[r], lane);
#endif
#if GATED
#if SUBGROUPS
    let up_total = reduce(up_sums[r], lane, subgroup_lane, subgroup_size);
#else
    let up_total = reduce(up_sums[r], lane);
#endif
#endif
    let t = first + r;
    if (lane == 0u && t <= last) {
#if GATED
      finish_gated(t, pack, total, up_total);
#else
      finish(t, pack, total);
#endif
    }
  }
}

#import linear_epilogue
#import linear_operands

// The sum over the workgroup, in invocation 0.
#if SUBGROUPS
fn reduce(value: Pack, lane: u32, subgroup_lane: u32, subgroup_size: u32) -> Pack {
  let sum = subgroupAdd(value);
  workgroupBarrier();
  if (subgroup_lane == 0u) {
    partial[lane / subgroup_size] = sum;
  }
  workgroupBarrier();
  var total = partial[0];
  for (var i = 1u; i < WG_X / subgroup_size; i++) {
    total += partial[i];
  }
  return total;
}
#else
fn reduce(value: Pack, lane: u32) -> Pack {
  workgroupBarrier();
  partial[lane] = value;
  for (var step = loop_bound(WG_X / 2u); step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      partial[lane] += partial[lane + step];
    }
  }
  workgroupBarrier();
  return partial[0];
}
#endif
