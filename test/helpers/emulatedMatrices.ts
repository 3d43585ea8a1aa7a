// Subgroup matrices of any shape on an adapter that has f16: each invocation keeps its share of a result and whole factors,
// in arrays. Not here: other subgroup functions (emulatedSubgroups.ts).

import { invariant } from '../../src/core/errors.ts'
import type { Device } from '../../src/device/device.ts'
import type { MatrixShape } from '../../src/kernels/spec.ts'
import type { Dispatch, Plan } from '../../src/plan/types.ts'

/** The device, believing in such matrices and in subgroups of `subgroupSize` invocations. */
export function emulateMatrices(device: Device, subgroupMatrix: MatrixShape, subgroupSize: number): Device {
  const emulated = (plan: Plan): Plan => ({ ...plan, dispatches: plan.dispatches.map(emulateDispatch) })
  return {
    ...device,
    capabilities: { ...device.capabilities, subgroups: true, subgroupSize, subgroupMatrix },
    compile: (plans, options) => device.compile(plans.map(emulated), options),
    prepare: (plan, resources) => device.prepare(emulated(plan), resources),
  }
}

function emulateDispatch(dispatch: Dispatch): Dispatch {
  const { shader } = dispatch
  if (!shader.code.includes('enable chromium_experimental_subgroup_matrix;')) return dispatch
  const loads = new Map<string, string>()
  const stores = new Set<string>()
  const kernel = shader.code
    .replace(/^(enable (subgroups|chromium_experimental_subgroup_matrix)|diagnostic\(.*\));$/gm, '')
    .replace(
      /subgroupMatrixLoad<subgroup_matrix_(left<f16, MAT_K, MAT_M>, row|right<f16, MAT_N, MAT_K>, col)_major>\(\s*&(\w+),/g,
      (_, factor: string, memory: string) => {
        loads.set(memory, factor.startsWith('left') ? 'Left' : 'Right')
        return `load_matrix_${memory}(`
      },
    )
    .replace(/subgroupMatrixStore<row_major>\(&(\w+),/g, (_, memory: string) => {
      stores.add(memory)
      return `store_matrix_${memory}(`
    })
    .replaceAll('subgroup_matrix_result<f32, MAT_N, MAT_M>', 'Share')
    .replace(/\nfn main\([^{]*\{/, (start) => `${start} own_lane = lane % SUBGROUP;`)
  invariant(!/subgroup_matrix|subgroupMatrix(?!MultiplyAccumulate)/.test(kernel), 'all of it is emulated')
  // Bounds hide in a uniform: compilers for CPUs unroll loops of known length.
  const code = [
    kernel,
    `var<private> own_lane: u32;
const LINE_PACKS: u32 = MAT_K / 4u;
alias Left = array<vec4<f16>, MAT_M * LINE_PACKS>;
alias Right = array<vec4<f16>, MAT_N * LINE_PACKS>;
alias Share = array<f32, RESULTS / SUBGROUP>;
fn subgroupMatrixMultiplyAccumulate(left: Left, right: Right, sums: Share) -> Share {
  var result = sums;
  for (var i = 0u; i < RESULTS / SUBGROUP + params.zero; i++) {
    let at = own_lane + i * SUBGROUP;
    for (var k = 0u; k < LINE_PACKS + params.zero; k++) {
      let a = vec4<f32>(left[at / MAT_N * LINE_PACKS + k]);
      let b = vec4<f32>(right[at % MAT_N * LINE_PACKS + k]);
      result[i] += dot(a, b);
    }
  }
  return result;
}`,
    ...[...loads].map(
      ([memory, factor]) => `fn load_matrix_${memory}(first: u32, stride: u32) -> ${factor} {
  var factor: ${factor};
  for (var i = 0u; i < ${factor === 'Left' ? 'MAT_M' : 'MAT_N'} * LINE_PACKS + params.zero; i++) {
    factor[i] = ${memory}[first + i / LINE_PACKS * stride + i % LINE_PACKS];
  }
  return factor;
}`,
    ),
    ...[...stores].map(
      (memory) => `fn store_matrix_${memory}(first: u32, share: Share, stride: u32) {
  for (var i = 0u; i < RESULTS / SUBGROUP + params.zero; i++) {
    let at = own_lane + i * SUBGROUP;
    ${memory}[first + at / MAT_N * stride + at % MAT_N] = share[i];
  }
}`,
    ),
  ].join('\n')
  return { ...dispatch, shader: { ...shader, code } }
}
