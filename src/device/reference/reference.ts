// The oracle: interprets a plan's graph in f64, op by op, with the reference of each op definition. Slow on purpose, but it
// lets timers and signals in between.
// It ignores kernels, buffers' sharing and rounding: activations and states are f64 whatever their dtype.

import type { ValueId } from '../../core/brand.ts'
import { f16ValueTable, type DType } from '../../core/dtype.ts'
import { RuntimeFault, invariant } from '../../core/errors.ts'
import { Turns } from '../../core/turns.ts'
import { elementsOf } from '../../core/shape.ts'
import { evalDim, type DimEnv } from '../../graph/dim.ts'
import { valueOf, type Graph, type Value } from '../../graph/graph.ts'
import { refTensor, type RefTensor } from '../../graph/opDef.ts'
import { opDef } from '../../graph/ops/index.ts'
import { weightKey } from '../../plan/place.ts'
import type { Step } from '../../plan/stepLayout.ts'
import type { Capabilities, Plan } from '../../plan/types.ts'
import type {
  BufferOwner,
  Device,
  DeviceBuffer,
  LostInfo,
  PlanResources,
  PreparedPlan,
  StepOutput,
} from '../device.ts'
import { MemoryLedger } from '../ledger.ts'

const capabilities: Capabilities = {
  subgroups: false,
  nativeF16: false,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroupBytes: 16_384,
  maxWorkgroupsPerDimension: 65_535,
  adapterClass: 'software',
  maxBindingBytes: Number.MAX_SAFE_INTEGER,
  maxBufferBytes: Number.MAX_SAFE_INTEGER,
  bindingAlignment: 4,
}

interface RefBuffer extends DeviceBuffer {
  readonly raw: Uint8Array<ArrayBuffer>
  /** Decoded or computed contents; a state's live here and survive between steps. */
  values: Float64Array | undefined
}

interface RefPrepared extends PreparedPlan {
  readonly resources: PlanResources
}

/** How long others wait at most, but for one op: timers, signals, what a terminal or a socket sends. */
const longestWaitMs = 10

export function createReferenceDevice(): Device {
  // A step that has let others in must not see the states of the next one.
  const turns = new Turns()
  const ledger = new MemoryLedger()
  const { promise: lost, resolve } = deferred<LostInfo>()
  return {
    name: 'reference',
    adapter: {
      vendor: '',
      architecture: '',
      device: 'reference',
      description: 'f64 interpreter',
      backend: 'reference',
      isSoftware: true,
      features: [],
      subgroupMinSize: undefined,
      subgroupMaxSize: undefined,
    },
    capabilities,
    lost,
    async alloc(bytes: number, owner: BufferOwner, label: string): Promise<RefBuffer> {
      ledger.add(owner, bytes)
      // States and arena hold f64 tensors made on demand; only uploads need bytes.
      const raw = new Uint8Array(owner === 'weights' ? bytes : 0)
      return { label, bytes, raw, values: undefined, destroy: () => ledger.add(owner, -bytes) }
    },
    async upload(buffer, offset, data) {
      refBuffer(buffer).raw.set(data, offset)
    },
    // Nothing to compile, and nothing to tell.
    compile: async () => undefined,
    async prepare(plan, resources) {
      const prepared: RefPrepared = { plan, resources, dispose: () => undefined }
      return prepared
    },
    // Nothing is waited for: results come at once.
    batchReads: () => ({ finish: () => undefined }),
    async run(prepared, step, outputs) {
      const { plan, resources } = prepared as RefPrepared
      // At once: the writer of the step uses its words again.
      const inputs = readInputs(plan, step)
      return turns.take(
        async () => {
          const values = await interpret(plan, resources, inputs, step.dims)
          return Object.fromEntries(outputs.map((name) => [name, readOutput(plan.graph, name, values)]))
        },
        'step',
        undefined,
      )
    },
    memory: () => ledger.snapshot(),
    dispose: () => resolve({ reason: 'destroyed', message: 'disposed' }),
  }
}

function refBuffer(buffer: DeviceBuffer | undefined): RefBuffer {
  invariant(buffer !== undefined && 'raw' in buffer, 'a buffer of the reference device')
  return buffer as RefBuffer
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}

type Values = Map<ValueId, RefTensor>

function readInputs(plan: Plan, step: Step): Values {
  return new Map(plan.graph.inputs.map((id, index) => [id, readField(plan, index, step)]))
}

/** All values, from those of the inputs. */
async function interpret(
  { graph }: Plan,
  resources: PlanResources,
  values: Values,
  dims: DimEnv,
): Promise<Values> {
  for (const value of graph.values) {
    if (value.source.kind === 'weight') values.set(value.id, weightTensor(value, resources))
    if (value.source.kind === 'state') values.set(value.id, stateTensor(graph, value, resources))
  }
  // Each step lets others in, however short it is: many short ones are as long.
  let pausedAt = -Infinity
  for (const op of graph.ops) {
    if (performance.now() - pausedAt > longestWaitMs) {
      await new Promise((resolve) => setTimeout(resolve))
      pausedAt = performance.now()
    }
    const inputs: Record<string, RefTensor> = {}
    for (const [name, id] of Object.entries(op.inputs)) inputs[name] = tensorOf(values, graph, id)
    const results = opDef(op.kind).reference(op.attrs, inputs)
    for (const [name, id] of Object.entries(op.outputs)) {
      const result = results[name]
      invariant(result !== undefined, `${op.kind} reference gives ${name}`)
      checkShape(op.origin, result, valueOf(graph, id), dims)
      values.set(id, result)
    }
  }
  return values
}

function tensorOf(values: ReadonlyMap<ValueId, RefTensor>, graph: Graph, id: ValueId): RefTensor {
  const tensor = values.get(id)
  invariant(tensor !== undefined, `${valueOf(graph, id).name} has been computed`)
  return tensor
}

function checkShape(origin: string, tensor: RefTensor, value: Value, dims: DimEnv): void {
  const expected = value.shape.map((dim) => evalDim(dim, dims))
  if (tensor.shape.join() === expected.join()) return
  throw new RuntimeFault('graph/shape', {
    where: origin,
    expected: `[${expected.join(', ')}]`,
    got: `[${tensor.shape.join(', ')}]`,
    fix: 'The reference of this op disagrees with its shape rule.',
  })
}

function readField(plan: Plan, index: number, step: Step): RefTensor {
  const field = plan.step.fields[index]!
  const tensor = refTensor(field.shape.map((dim) => evalDim(dim, step.dims)))
  const begin = step.words.byteOffset + field.offset * 4
  const length = tensor.data.length
  const typed = {
    f32: () => new Float32Array(step.words.buffer, begin, length),
    i32: () => new Int32Array(step.words.buffer, begin, length),
    u32: () => new Uint32Array(step.words.buffer, begin, length),
  }
  invariant(field.dtype !== 'f16', 'step inputs have 32-bit elements')
  tensor.data.set(typed[field.dtype]())
  return tensor
}

function weightTensor(value: Value, resources: PlanResources): RefTensor {
  const buffer = refBuffer(resources.weights.get(weightKey(value)))
  const shape = value.shape as readonly number[]
  buffer.values ??= decode(buffer.raw, value.dtype, shape)
  return { shape, data: buffer.values }
}

function stateTensor(graph: Graph, value: Value, resources: PlanResources): RefTensor {
  invariant(value.state !== undefined, `${value.name} is a state`)
  const buffer = refBuffer(resources.states.get(value.state))
  const { shape } = graph.states[value.state]!
  buffer.values ??= refTensor(shape).data
  return { shape, data: buffer.values }
}

function decode(raw: Uint8Array<ArrayBuffer>, dtype: DType, shape: readonly number[]): Float64Array {
  const length = elementsOf(shape)
  switch (dtype) {
    case 'f32':
      return Float64Array.from(new Float32Array(raw.buffer, 0, length))
    case 'i32':
      return Float64Array.from(new Int32Array(raw.buffer, 0, length))
    case 'u32':
      return Float64Array.from(new Uint32Array(raw.buffer, 0, length))
    case 'f16': {
      const table = f16ValueTable()
      return Float64Array.from(new Uint16Array(raw.buffer, 0, length), (bits) => table[bits]!)
    }
    default:
      return dtype satisfies never
  }
}

function readOutput(graph: Graph, name: string, values: ReadonlyMap<ValueId, RefTensor>): StepOutput {
  const id = graph.outputs[name]
  invariant(id !== undefined, `output ${name} of ${graph.name}`)
  const { shape, data } = tensorOf(values, graph, id)
  return { shape, data: valueOf(graph, id).dtype === 'i32' ? Int32Array.from(data) : data.slice() }
}
