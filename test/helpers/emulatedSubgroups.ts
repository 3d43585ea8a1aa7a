// Subgroups of any size on any adapter: WGSL lets functions of a module hide builtin ones, so a kernel that uses subgroups
// gets some of its own, which meet in workgroup memory. Stricter than hardware: all invocations of a workgroup must take
// part in a call, and a shuffle from an invocation that is not there gives a huge number. What it cannot show is a barrier
// that a kernel lacks, since each call brings its own. Not here: subgroup matrices (emulatedMatrices.ts).

import { invariant } from '../../src/core/errors.ts'
import type { Device } from '../../src/device/device.ts'
import type { Capabilities, Dispatch, Plan } from '../../src/plan/types.ts'

/** What a variant passes to each subgroup function: one type each, since functions of a module have no overloads. */
const operandTypes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  linear_gemv_subgroups: { subgroupAdd: 'Pack' },
  linear_subgroup_tile: { subgroupShuffle: 'vec4<f32>' },
  rms_norm_subgroup: { subgroupAdd: 'f32' },
  attention_lanes: { subgroupShuffle: 'Pack' },
  attention_keys: { subgroupAdd: 'f32', subgroupMax: 'f32', subgroupShuffle: 'f32' },
}

/** `total` after `other`, for functions that reduce. */
const reductions: Readonly<Record<string, string>> = {
  subgroupAdd: 'total + other',
  subgroupMax: 'max(total, other)',
}

/** The device, believing that it is of the given class and that all its subgroups have `size` invocations. */
export function emulateSubgroups(
  device: Device,
  size: number,
  adapterClass: Capabilities['adapterClass'],
): Device {
  const emulated = (plan: Plan): Plan => ({
    ...plan,
    dispatches: plan.dispatches.map((dispatch) => emulateDispatch(dispatch, size)),
  })
  return {
    ...device,
    adapter: { ...device.adapter, subgroupMinSize: size, subgroupMaxSize: size },
    capabilities: {
      ...device.capabilities,
      adapterClass,
      subgroups: true,
      subgroupSize: size,
      subgroupMatrix: undefined,
    },
    compile: (plans, options) => device.compile(plans.map(emulated), options),
    prepare: (plan, resources) => device.prepare(emulated(plan), resources),
  }
}

function emulateDispatch(dispatch: Dispatch, size: number): Dispatch {
  const { shader, variant } = dispatch
  if (!/^enable subgroups;$/m.test(shader.code)) return dispatch
  const types = operandTypes[variant]
  const called = [...new Set(shader.code.match(/\bsubgroup\w+(?=\()/g))].sort()
  invariant(
    types !== undefined && called.join() === Object.keys(types).sort().join(),
    `${variant} calls what its emulation has, got ${called.join()}`,
  )
  // The functions come last, so that the compiler's lines stay those of the kernel.
  const code = [
    emulateBuiltins(shader.code.replace(/^enable subgroups;$/m, '')),
    `const SUBGROUP: u32 = ${size}u;`,
    'var<private> own_lane: u32;',
    ...Object.entries(types).map(([name, type]) => functionOf(name, type)),
  ].join('\n')
  return { ...dispatch, shader: { ...shader, code } }
}

/** Parameters of the entry point that tell of subgroups become variables over the invocation's index. */
function emulateBuiltins(code: string): string {
  const lane = /@builtin\(local_invocation_index\) (\w+): u32/.exec(code)?.[1]
  invariant(lane !== undefined, 'the entry point has its local_invocation_index')
  const values: Record<string, string> = {
    subgroup_invocation_id: `${lane} % SUBGROUP`,
    subgroup_size: 'SUBGROUP',
  }
  const variables = [`own_lane = ${lane};`]
  return code
    .replace(/@builtin\((subgroup_\w+)\) (\w+): u32,/g, (_, builtin: string, name: string) => {
      invariant(values[builtin] !== undefined, `${builtin} is emulated`)
      variables.push(`let ${name} = ${values[builtin]};`)
      return ''
    })
    .replace(/(\nfn main\([^{]*\{)/, (start) => `${start} ${variables.join(' ')}`)
}

function functionOf(name: string, type: string): string {
  const shared = `${name}_values`
  // A barrier before, since somebody may still read what the last call left. Bounds hide in a uniform: compilers for CPUs
  // unroll loops of known length.
  const meet = `
  workgroupBarrier();
  ${shared}[own_lane] = value;
  workgroupBarrier();
  let first = own_lane / SUBGROUP * SUBGROUP;
  let size = min(SUBGROUP, WG_X - first) + params.zero;`
  const declaration = `var<workgroup> ${shared}: array<${type}, WG_X>;`
  if (name === 'subgroupShuffle')
    return `${declaration}
fn subgroupShuffle(value: ${type}, source: u32) -> ${type} {${meet}
  if (source >= size) {
    return ${type}(3e38);
  }
  return ${shared}[first + source];
}`
  invariant(reductions[name] !== undefined, `${name} is emulated`)
  return `${declaration}
fn ${name}(value: ${type}) -> ${type} {${meet}
  var total = ${shared}[first];
  for (var i = 1u; i < size; i++) {
    let other = ${shared}[first + i];
    total = ${reductions[name]};
  }
  return total;
}`
}
