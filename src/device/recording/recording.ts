// A device that computes nothing and writes down what it is asked to do, for tests of what a step costs.

import { elementsOf } from '../../core/shape.ts'
import { evalDim } from '../../graph/dim.ts'
import type { Capabilities } from '../../plan/types.ts'
import type {
  AdapterInfo,
  BufferOwner,
  Device,
  DeviceBuffer,
  LostInfo,
  PreparedPlan,
  ReadBatch,
  StepOutput,
} from '../device.ts'
import { MemoryLedger } from '../ledger.ts'

export type RecordedCall =
  | { readonly kind: 'alloc'; readonly owner: BufferOwner; readonly label: string; readonly bytes: number }
  | { readonly kind: 'upload'; readonly label: string; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'compile'; readonly shaders: number }
  | { readonly kind: 'prepare'; readonly dispatches: number }
  | {
      readonly kind: 'run'
      readonly dispatches: number
      readonly uploadedBytes: number
      readonly outputs: readonly string[]
    }

export interface RecordingDevice extends Device {
  readonly calls: readonly RecordedCall[]
  /** How often outputs were waited for. */
  readonly numReads: number
}

const adapter: AdapterInfo = {
  vendor: '',
  architecture: '',
  device: 'recording',
  description: 'records calls',
  backend: 'recording',
  isSoftware: true,
  features: [],
  subgroupMinSize: undefined,
  subgroupMaxSize: undefined,
}

class RecordedBatch implements ReadBatch {
  readonly finished: Promise<void>
  finish: () => void = () => undefined
  isRead = false

  constructor() {
    this.finished = new Promise((resolve) => (this.finish = resolve))
  }
}

/** Every output reads as zeros. */
export function createRecordingDevice(capabilities: Capabilities): RecordingDevice {
  const calls: RecordedCall[] = []
  const ledger = new MemoryLedger()
  let numReads = 0
  let lose: (info: LostInfo) => void = () => undefined
  const lost = new Promise<LostInfo>((resolve) => (lose = resolve))
  return {
    name: 'recording',
    adapter,
    capabilities,
    lost,
    calls,
    get numReads() {
      return numReads
    },
    async alloc(bytes, owner, label): Promise<DeviceBuffer> {
      calls.push({ kind: 'alloc', owner, label, bytes })
      ledger.add(owner, bytes)
      return { label, bytes, destroy: () => ledger.add(owner, -bytes) }
    },
    async upload(buffer, offset, data) {
      calls.push({ kind: 'upload', label: buffer.label, offset, bytes: data.byteLength })
    },
    async compile(plans, { onCompiled } = {}) {
      const shaders = new Set(plans.flatMap(({ dispatches }) => dispatches.map(({ shader }) => shader.code)))
        .size
      calls.push({ kind: 'compile', shaders })
      onCompiled?.(0, shaders)
      onCompiled?.(shaders, shaders)
    },
    async prepare(plan): Promise<PreparedPlan> {
      calls.push({ kind: 'prepare', dispatches: plan.dispatches.length })
      return { plan, dispose: () => undefined }
    },
    batchReads: () => new RecordedBatch(),
    async run(prepared, step, outputs, batch): Promise<Record<string, StepOutput>> {
      const { plan } = prepared
      const uploadedBytes = step.words.byteLength
      calls.push({ kind: 'run', dispatches: plan.dispatches.length, uploadedBytes, outputs })
      if (batch instanceof RecordedBatch && outputs.length > 0) {
        if (!batch.isRead) numReads++
        batch.isRead = true
        await batch.finished
      } else if (outputs.length > 0) numReads++
      return Object.fromEntries(
        outputs.map((name) => {
          const { shape: dims, dtype } = plan.outputs[name]!
          const shape = dims.map((dim) => evalDim(dim, step.dims))
          const length = elementsOf(shape)
          return [name, { shape, data: dtype === 'i32' ? new Int32Array(length) : new Float32Array(length) }]
        }),
      )
    },
    memory: () => ledger.snapshot(),
    dispose: () => lose({ reason: 'destroyed', message: 'disposed' }),
  }
}
