// What the adapter can do at best, measured in the same run as everything that is compared with it: streaming reads
// and copies, f32 multiply-adds, int8 dot products. Each roof is the best of a few plain forms.

import copyShader from '../../shaders/bench/copy.wgsl?raw'
import dot4Shader from '../../shaders/bench/dot4.wgsl?raw'
import fmaShader from '../../shaders/bench/fma.wgsl?raw'
import readShader from '../../shaders/bench/read.wgsl?raw'
import { RuntimeFault } from '../core/errors.ts'
import { makeProbe, workgroupSize, type Probe, type ProbeLaunch, type ProbeShader } from './probe.ts'
import type { Samples } from './statistics.ts'

export interface Roof {
  /** Of the median run, in units of 10⁹ a second. What fractions refer to: it saw the load that the work saw. */
  readonly value: number
  /** Of the fastest run. */
  readonly best: number
  readonly unit: 'GB/s' | 'GFLOP/s' | 'GOP/s'
  /** The form that won. */
  readonly form: string
}

export interface Roofs {
  readonly read: Roof
  /** Bytes read and bytes written, together. */
  readonly copy: Roof
  readonly fma: Roof
  /** Undefined where the adapter has no packed dot product. */
  readonly dot4: Roof | undefined
}

export interface RoofOptions {
  readonly isSoftware: boolean
  /** Bytes to stream; more than any cache holds. */
  readonly bytes?: number
  readonly repeats?: number
  readonly signal?: AbortSignal | undefined
}

interface Settings {
  readonly gpu: GPUDevice
  readonly isSoftware: boolean
  readonly bytes: number
  readonly repeats: number
  readonly signal: AbortSignal | undefined
}

interface Form {
  readonly shader: ProbeShader
  readonly measure: (probe: Probe, settings: Settings) => Promise<Measured>
}

/** Units of work, and the seconds of each run over all of it. */
interface Measured {
  readonly work: number
  readonly seconds: Samples
}

/** Throws engine/cancelled soon after the signal fires, device/memory where there is no room to stream. */
export async function measureRoofs(
  gpu: GPUDevice,
  { isSoftware, bytes = 2 ** 28, repeats = 5, signal }: RoofOptions,
): Promise<Roofs> {
  const settings = { gpu, isSoftware, bytes, repeats, signal }
  const dot4 = await best('GOP/s', [dot4Form], settings).catch((error: unknown) => {
    if (error instanceof RuntimeFault && error.code === 'device/shader') return undefined
    throw error
  })
  return {
    read: await best('GB/s', [streamForm('read', false), streamForm('read', true)], settings),
    copy: await best('GB/s', [streamForm('copy', false), streamForm('copy', true)], settings),
    fma: await best('GFLOP/s', fmaForms, settings),
    dot4,
  }
}

/** Of each kind the roof in the middle of some measurements, or the faster of the two there. */
export function medianRoofs(measured: readonly Roofs[]): Roofs {
  const middle = (roofs: readonly Roof[]): Roof | undefined =>
    roofs.toSorted((a, b) => a.value - b.value)[roofs.length >> 1]
  return {
    read: middle(measured.map(({ read }) => read))!,
    copy: middle(measured.map(({ copy }) => copy))!,
    fma: middle(measured.map(({ fma }) => fma))!,
    dot4: middle(measured.flatMap(({ dot4 }) => dot4 ?? [])),
  }
}

async function best(unit: Roof['unit'], forms: readonly Form[], settings: Settings): Promise<Roof> {
  const roofs: Roof[] = []
  for (const { shader, measure } of forms) {
    const { work, seconds } = await measure(await makeProbe(settings.gpu, shader), settings)
    const rate = (time: number): number => work / time / 1e9
    roofs.push({ value: rate(seconds.median), best: rate(seconds.min), unit, form: shader.name })
  }
  return roofs.reduce((winner, roof) => (roof.value > winner.value ? roof : winner))
}

const vec4Bytes = 16
/** Loads of one invocation, a multiple of the four that the shader does at once. */
const loadsPerInvocation = 64
const chunkUnit = vec4Bytes * loadsPerInvocation * workgroupSize

/** Side by side suits GPUs; a run of its own for each invocation may suit CPUs. */
function streamForm(kind: 'read' | 'copy', isBlocked: boolean): Form {
  return {
    shader: {
      name: `${kind} ${isBlocked ? 'in runs' : 'side by side'}`,
      prelude: [`const BLOCKED: bool = ${isBlocked};`],
      source: kind === 'read' ? readShader : copyShader,
    },
    async measure(probe, { gpu, bytes, repeats, signal }) {
      // Half of a copy's traffic is written.
      const total = kind === 'read' ? bytes : bytes / 2
      const limit = Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize)
      const chunkBytes = Math.floor(Math.min(total, limit) / chunkUnit) * chunkUnit
      const invocations = chunkBytes / vec4Bytes / loadsPerInvocation
      const resultBytes = kind === 'copy' ? chunkBytes : invocations * vec4Bytes
      const buffers: GPUBuffer[] = []
      const storage = (size: number): GPUBuffer => {
        const buffer = gpu.createBuffer({ size, usage: GPUBufferUsage.STORAGE })
        buffers.push(buffer)
        return buffer
      }
      gpu.pushErrorScope('out-of-memory')
      try {
        const launches = Array.from({ length: Math.ceil(total / chunkBytes) }, (): ProbeLaunch => ({
          source: storage(chunkBytes),
          result: storage(resultBytes),
          numSteps: loadsPerInvocation,
          workgroups: invocations / workgroupSize,
        }))
        const work = launches.length * chunkBytes * (kind === 'copy' ? 2 : 1)
        const refused = await gpu.popErrorScope()
        if (refused !== null) throw noRoomFault(total, refused)
        return { work, seconds: await probe.time(launches, repeats, signal) }
      } finally {
        for (const buffer of buffers) buffer.destroy()
      }
    },
  }
}

/** The model under test may leave none. */
function noRoomFault(bytes: number, cause: GPUError): RuntimeFault {
  return new RuntimeFault('device/memory', {
    where: 'roofs',
    expected: `${bytes} bytes of device memory beside the model`,
    got: cause.message,
    fix: 'Leave the roofs out (--no-roofs), or use a smaller model.',
    cause,
  })
}

const numChains = 8

/** Chains that do `opsPerAdvance` operations a step, run long enough for launch costs not to matter. */
function chainForm(shader: ProbeShader, opsPerAdvance: number): Form {
  return {
    shader,
    async measure(probe, { gpu, isSoftware, repeats, signal }) {
      const { STORAGE, COPY_DST } = GPUBufferUsage
      const invocations = isSoftware ? 2 ** 14 : 2 ** 20
      const source = gpu.createBuffer({ size: 16, usage: STORAGE | COPY_DST })
      const result = gpu.createBuffer({ size: invocations * 4, usage: STORAGE })
      gpu.queue.writeBuffer(source, 0, Float32Array.of(0.9995, 0.25, 0, 0))
      const workgroups = invocations / workgroupSize
      const time = (rounds: number, repeats: number): Promise<Samples> =>
        probe.time([{ source, result, numSteps: rounds, workgroups }], repeats, signal)
      try {
        let rounds = 64
        while (rounds < 2 ** 20 && (await time(rounds, 1)).median < 0.02) rounds *= 2
        // A few more, so that the middle of the measurement is steady.
        rounds *= 2
        const work = rounds * numChains * opsPerAdvance * invocations
        return { work, seconds: await time(rounds, repeats) }
      } finally {
        source.destroy()
        result.destroy()
      }
    },
  }
}

function fmaForm(width: 1 | 4, isFused: boolean): Form {
  const step = isFused ? 'fma(x, m, c)' : 'x * m + c'
  return chainForm(
    {
      name: `${width === 1 ? 'scalar' : 'vec4'} ${isFused ? 'fma' : 'multiply and add'}`,
      prelude: [
        `alias Value = ${width === 1 ? 'f32' : 'vec4<f32>'};`,
        `fn advance(x: Value, m: Value, c: Value) -> Value { return ${step}; }`,
        `fn total(v: Value) -> f32 { return ${width === 1 ? 'v' : 'v.x + v.y + v.z + v.w'}; }`,
      ],
      source: fmaShader,
    },
    2 * width,
  )
}

const fmaForms: readonly Form[] = [fmaForm(1, false), fmaForm(1, true), fmaForm(4, false), fmaForm(4, true)]

/** Four products and four sums. */
const dot4Form: Form = chainForm({ name: 'dot4I8Packed', prelude: [], source: dot4Shader }, 8)
