// Computes y = act(x · wᵀ + bias) + residual for few rows: a workgroup takes PACK columns of all ROWS rows, its
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
  let w_row = w_offset + pack * PACK * w_stride;
#if GATED
  let up = COLUMNS * w_stride;
  var up_sums: array<Pack, ROWS>;
#endif
  var sums: array<Pack, ROWS>;
  for (var k = lane; k < loop_bound(INNER / LOAD); k += WG_X) {
    let columns = load_columns(w_row, k);
#if GATED
    let up_columns = load_columns(w_row + up, k);
#endif
    for (var r = 0u; r < loop_bound(ROWS); r++) {
      let x = load_operand(x_offset + min(first + r, last) * x_stride, k);
      sums[r] += products(x, columns);
#if GATED
      up_sums[r] += products(x, up_columns);
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
