// Every variant of every kernel, at every width and in every storage of f16, compiles on Dawn's null backend, which
// runs nothing. A broken shader is the control: it must fail, and say where. Results are checked in test/gpu.

import { afterAll, describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device, DeviceBuffer, PreparedPlan } from '../../../src/device/device.ts'
import type { DimEnv } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import type { OpKind } from '../../../src/graph/ops/index.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { randomKernels } from '../../../src/kernels/random.ts'
import type { KernelSet, KernelVariant } from '../../../src/kernels/spec.ts'
import { inferencePasses, runPasses } from '../../../src/passes/index.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import type { Dispatch, Plan } from '../../../src/plan/types.ts'
import {
  attentionCase,
  binaryCase,
  gatherCase,
  linearCase,
  opCases,
  randomCase,
  rotaryCase,
  unaryCase,
} from '../../helpers/opCases.ts'
import { tinyLlama } from '../models/tinyLlama.ts'

/** A graph to plan; what it holds besides the op of interest compiles along. */
interface Case {
  readonly graph: Graph
  readonly maxima: DimEnv
}

const maxima: DimEnv = { T: 8, S: 3, R: 3 }
const cases: readonly Case[] = [
  ...opCases(),
  randomCase(1, 'f32'),
  randomCase(1, 'f16'),
  gatherCase(7, 'f32'),
  linearCase(3, 6, 10, 'f32', { silu: true }),
  unaryCase('silu', 2, 7, 'f32'),
  rotaryCase(2, 2, 6, 6, 'interleaved', 'f32'),
  attentionCase({
    numHeads: 2,
    numKvHeads: 1,
    headDim: 3,
    blockSize: 4,
    sequences: [{ cached: 1, added: 1 }],
    dtype: 'f32',
  }),
  ...(['add', 'mul', 'biasAdd'] as const).map((kind) => binaryCase(kind, 2, 7, 'f32')),
  ...[
    tinyLlama({}, { head: 'sample' }),
    tinyLlama({}, { head: 'sample', dtype: 'f16' }),
    // Heads of 2 and 6: keys and values of which a load moves one or two.
    tinyLlama({ headDim: 2 }, { head: 'sample' }),
    tinyLlama({ headDim: 2 }, { dtype: 'f16' }),
    tinyLlama({
      headDim: 6,
      hiddenSize: 15,
      intermediateSize: 21,
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
    }),
  ].flatMap((graph) => [
    { graph, maxima },
    { graph: runPasses(graph, inferencePasses), maxima },
  ]),
]

const devices = new Map<'packed' | 'native', Promise<Device>>()

function nullDevice(half: 'packed' | 'native'): Promise<Device> {
  const device = devices.get(half) ?? openDawnDevice({ backend: 'null', half })
  devices.set(half, device)
  return device
}

afterAll(async () => {
  for (const device of devices.values()) (await device).dispose()
})

const specs = { ...wgslKernels.specs, ...randomKernels.specs }

/** The set that picks `variant` wherever it can serve, and the plainest kernels elsewhere. */
function forced(variant: KernelVariant, op: OpKind): KernelSet {
  return {
    ...wgslKernels,
    select(problem, capabilities) {
      const plainest = specs[problem.op.kind]!.variants[0]!
      return problem.op.kind === op && variant.supports(problem, capabilities) ? variant : plainest
    },
  }
}

const placeholders = new Map<Device, Promise<DeviceBuffer>>()

/** Nothing is run, so one buffer can stand for all. */
function placeholder(device: Device): Promise<DeviceBuffer> {
  const buffer = placeholders.get(device) ?? device.alloc(2 ** 20, 'arena', 'all')
  placeholders.set(device, buffer)
  return buffer
}

async function prepare(device: Device, plan: Plan): Promise<PreparedPlan> {
  const buffer = await placeholder(device)
  const weights = new Map(
    plan.buffers.flatMap((each) => (each.role === 'weight' ? [[each.key, buffer]] : [])),
  )
  const states = new Map(plan.graph.states.map(({ id }) => [id, buffer]))
  const arena = plan.buffers.flatMap((each) => (each.role === 'arena' ? [buffer] : []))
  return device.prepare(plan, { weights, states, arena })
}

function packWidthOf({ shader }: Dispatch): number {
  return Number(/const PACK: u32 = (\d)u;/.exec(shader.code)![1])
}

function storageOf({ shader }: Dispatch): string {
  if (shader.code.includes('enable f16;')) return 'native f16'
  return shader.code.includes('unpack2x16float') ? 'packed f16' : 'f32'
}

const variants = Object.values(specs).flatMap(({ op, variants }) =>
  variants.map((variant) => ({ op, variant, name: variant.name })),
)

describe('compiles', () => {
  const compiled = new Map<string, Set<string>>()

  test.each(variants)('$name', async ({ op, variant, name }) => {
    const seen = new Set<string>()
    const codes = new Set<string>()
    for (const half of ['packed', 'native'] as const) {
      const device = await nullDevice(half)
      expect(device.capabilities.nativeF16).toBe(half === 'native')
      const software = { ...device.capabilities, adapterClass: 'software', subgroupSize: 8 } as const
      const narrow = { ...software, subgroupSize: 4 }
      const tensorCores = { ...device.capabilities, subgroupSize: 32, subgroupMatrix: { M: 16, N: 8, K: 16 } }
      const adapters = [device.capabilities, software, narrow, tensorCores]
      for (const { graph, maxima, capabilities } of cases.flatMap((each) =>
        adapters.map((capabilities) => ({ ...each, capabilities })),
      )) {
        if (!graph.ops.some(({ kind }) => kind === op)) continue
        const plan = makePlan(graph, { kernels: forced(variant, op), capabilities, maxima })
        const dispatches = plan.dispatches.filter((dispatch) => dispatch.variant === name)
        const fresh = dispatches.filter(({ shader }) => !codes.has(shader.code))
        for (const dispatch of fresh) {
          codes.add(dispatch.shader.code)
          seen.add(`${storageOf(dispatch)} × ${packWidthOf(dispatch)}`)
        }
        // Only what has not been compiled: most cases differ in rows alone.
        if (fresh.length > 0) (await prepare(device, { ...plan, dispatches: fresh })).dispose()
      }
    }
    expect(codes.size).toBeGreaterThan(0)
    compiled.set(name, seen)
  })

  test('covers these storages and widths', () => {
    const table = [...compiled].map(([name, seen]) => `${name}: ${[...seen].sort().join(', ')}`)
    expect(table.length).toBe(variants.length)
    expect(`\n${table.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      selectTokens: f32 × 1
      embedding: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      gatherRows: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      silu: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      add: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      mul: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      swiglu: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      biasAdd: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      rotary: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      kvWrite: f32 × 1, f32 × 2, f32 × 4, native f16 × 4, packed f16 × 4
      linear_naive: f32 × 1, native f16 × 1, native f16 × 2, packed f16 × 1, packed f16 × 2
      linear_tile: f32 × 4, native f16 × 4, packed f16 × 4
      linear_tiled: f32 × 4, native f16 × 4, packed f16 × 4
      linear_matrix: native f16 × 4
      linear_gemv: f32 × 4, native f16 × 4, packed f16 × 4
      linear_gemv_subgroups: f32 × 4, native f16 × 4, packed f16 × 4
      linear_rows: f32 × 4, native f16 × 4, packed f16 × 4
      linear_narrow_tile: f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      linear_subgroup_tile: f32 × 2, native f16 × 2, packed f16 × 2
      rms_norm: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      rms_norm_subgroup: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      attention_naive: f32 × 1, f32 × 2, f32 × 4, native f16 × 4, packed f16 × 4
      attention_rows: f32 × 1, f32 × 2, f32 × 4, native f16 × 4, packed f16 × 4
      attention_split: f32 × 4, native f16 × 4, packed f16 × 4
      attention_lanes: f32 × 4, native f16 × 4, packed f16 × 4
      attention_keys: f32 × 4, native f16 × 4, packed f16 × 4
      rotary_kv_write: f32 × 1, f32 × 2, f32 × 4, native f16 × 2, native f16 × 4, packed f16 × 2, packed f16 × 4
      count_tokens: f32 × 1
      process_logits: f32 × 4
      sample: f32 × 1
      sample_narrow: f32 × 1
      random_normal: f32 × 1, native f16 × 2, packed f16 × 2
      "
    `)
  })
})

describe('the control', () => {
  /** The fault of preparing a silu kernel that `change` has altered. */
  async function faultOf(change: (variant: KernelVariant) => Partial<KernelVariant>): Promise<unknown> {
    const device = await nullDevice('packed')
    const { graph, maxima } = unaryCase('silu', 2, 8, 'f32')
    const original = wgslKernels.specs.silu!.variants[0]!
    const kernels = forced({ ...original, ...change(original) }, 'silu')
    const plan = makePlan(graph, { kernels, capabilities: device.capabilities, maxima })
    return prepare(device, plan).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  test('compiles as it is', async () => {
    expect(await faultOf(() => ({}))).toBeUndefined()
  })

  test('with a type error fails, naming file, line and column, and shows the numbered shader', async () => {
    const broken = 'fn broken() -> u32 {\n  return 1.5;\n}'
    const fault = await faultOf(({ shader }) => ({ name: 'silu_broken', shader: `${shader}\n${broken}` }))
    expect(fault).toBeInstanceOf(RuntimeFault)
    const { code, where, message } = fault as RuntimeFault
    expect(code).toBe('device/shader')
    expect(where).toBe('silu (silu_broken)')
    const { shader } = wgslKernels.specs.silu!.variants[0]!
    const line = shader.split('\n').length + 2
    const located = new RegExp(`silu_broken:${line}:\\d+: .+ \\(line (\\d+) below\\)`).exec(message)
    expect(located).not.toBeNull()
    expect(message).toMatch(new RegExp(`^ *${located![1]} {4}return 1.5;$`, 'm'))
    expect(message).toMatch(/^ {3}1 {2}alias Pack = vec4<f32>;$/m)
  })

  test('with more invocations than the device has fails when the pipeline is made', async () => {
    const fault = await faultOf((variant) => ({
      name: 'silu_wide',
      configure: (problem, capabilities) => ({
        ...variant.configure(problem, capabilities),
        workgroupSize: [2 * capabilities.maxInvocationsPerWorkgroup, 1, 1],
      }),
    }))
    expect(fault).toBeInstanceOf(RuntimeFault)
    expect((fault as RuntimeFault).code).toBe('device/shader')
    expect((fault as RuntimeFault).message).toMatch(/workgroup/i)
  })

  test('leaves the device usable', async () => {
    await faultOf(() => ({ shader: 'nonsense' }))
    expect(await faultOf(() => ({}))).toBeUndefined()
  })
})
