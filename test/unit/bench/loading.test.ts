// Loading streams: whatever the checkpoint's size, the host holds a few MiB of it. Real files (sparse, so that they
// take no disk) and a real server, the real readers and loader, Dawn's null backend.

import {
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, describe, expect, test } from 'vitest'
import { syntheticTensors } from '../../../src/bench/synthetic.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { loadWeights, type WeightSource } from '../../../src/engine/loadWeights.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { diskChunks } from '../../../src/node/diskChunks.ts'
import { nodeHashing } from '../../../src/node/hashing.ts'
import { steadyNetwork } from '../../../src/node/steadyFetch.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { openGguf } from '../../../src/weights/gguf/gguf.ts'
import { cachedStore } from '../../../src/weights/remote/chunkCache.ts'
import { httpStore } from '../../../src/weights/remote/httpStore.ts'
import { openCheckpoint } from '../../../src/weights/sharded.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'
import { TestServer } from '../weights/remote/testServer.ts'

const allowedBytes = 64 * 2 ** 20
const numTensors = 5
const shape = [8192, 4096] as const
/** The projection whose rows llama.cpp reorders, which takes the most memory to read. */
const nameOf = (index: number): string => `model.layers.${index}.self_attn.q_proj.weight`

/** A chain of linears over 5 tensors of 64 MiB in f16. */
function chain(): Graph {
  const b = new GraphBuilder('chain')
  const ids = b.input('ids', 'i32', [symbol('T')])
  let x = b.apply(
    'embedding',
    'x',
    { table: b.weight(tensor(nameOf(0), shape), 'f16'), ids },
    { dtype: 'f16' },
  )
  for (let i = 1; i < numTensors; i++) {
    const w = b.weight(tensor(nameOf(i), shape), 'f16')
    const wide = b.apply('linear', `up${i}`, { x, w }, { dtype: 'f16', activation: 'none' })
    x = b.apply('slice', `cut${i}`, { x: wide }, { start: 0, length: shape[1] })
  }
  b.output('y', b.apply('silu', 'y', { x }, { dtype: 'f16' }))
  return b.finish()
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const dir = mkdtempSync(join(tmpdir(), 'tabhopper-loading-'))
afterAll(() => rmSync(dir, { recursive: true }))

/** All zeros, in a sparse safetensors file. */
async function sparseCheckpoint(dtype: 'F16' | 'BF16' | 'F32'): Promise<Checkpoint> {
  const bytes = shape[0] * shape[1] * (dtype === 'F32' ? 4 : 2)
  const header = Object.fromEntries(
    Array.from({ length: numTensors }, (_, i) => [
      nameOf(i),
      { dtype, shape, data_offsets: [i * bytes, (i + 1) * bytes] },
    ]),
  )
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  writeSparse(`${dtype}.safetensors`, Buffer.concat([length, json]), numTensors * bytes)
  return openCheckpoint(directoryStore(dir), { stem: dtype })
}

/** The same in blocks of 34 bytes for 32 elements. */
async function sparseGguf(): Promise<Checkpoint> {
  const bytes = (shape[0] * shape[1] * 34) / 32
  const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer)
  const u64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
  const text = (value: string): Buffer => Buffer.concat([u64(value.length), Buffer.from(value)])
  const infos = Array.from({ length: numTensors }, (_, i) => [
    text(`blk.${i}.attn_q.weight`),
    u32(2),
    u64(shape[1]),
    u64(shape[0]),
    u32(8),
    u64(i * bytes),
  ])
  const pairs = [
    [text('general.architecture'), u32(8), text('llama')],
    [text('llama.attention.head_count'), u32(4), u32(32)],
  ]
  const counts = [Buffer.from('GGUF'), u32(3), u64(numTensors), u64(pairs.length)]
  const header = Buffer.concat([...counts, ...pairs.flat(), ...infos.flat()])
  const aligned = Buffer.concat([header, Buffer.alloc(-header.length & 31)])
  writeSparse('q8.gguf', aligned, numTensors * bytes)
  const source = await directoryStore(dir).open('q8.gguf')
  return (await openGguf(source!)).checkpoint
}

/** Serves a sparse file of this folder, without holding it. */
async function serveSparse(name: string): Promise<TestServer> {
  const path = join(dir, name)
  const { size } = statSync(path)
  const start = new Uint8Array(2 ** 16)
  const zeros = new Uint8Array(8 * 2 ** 20)
  const file = openSync(path, 'r')
  readSync(file, start)
  closeSync(file)
  const server = await TestServer.start()
  server.hook = ({ headers }, response) => {
    const [first, last] = /(\d+)-(\d+)$/.exec(headers.range!)!.slice(1).map(Number) as [number, number]
    response.writeHead(206, {
      etag: '"1"',
      'content-range': `bytes ${first}-${last}/${size}`,
      'content-length': last - first + 1,
    })
    const head = start.subarray(first, last + 1)
    response.write(head)
    response.end(zeros.subarray(0, last - first + 1 - head.length))
    return true
  }
  return server
}

function writeSparse(name: string, header: Buffer, dataBytes: number): void {
  const file = openSync(join(dir, name), 'w')
  writeSync(file, header)
  ftruncateSync(file, header.length + dataBytes)
  closeSync(file)
}

/**
 * Most bytes above the start that buffers outside V8's heap took while loading: `external`, which has the array buffers
 * in it, and the array buffers once more, so that each byte counts twice.
 */
async function peakOf(device: Device, source: WeightSource): Promise<{ peak: number; loaded: number }> {
  const plan = makePlan(chain(), {
    kernels: wgslKernels,
    capabilities: device.capabilities,
    maxima: { T: 1, S: 1, R: 1 },
  })
  const held = (): number => {
    const { arrayBuffers, external } = process.memoryUsage()
    return arrayBuffers + external
  }
  // What earlier tests left must not count as free room.
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const baseline = held()
  let peak = 0
  let loaded = 0
  const sample = (): void => void (peak = Math.max(peak, held() - baseline))
  const timer = setInterval(sample, 2)
  const weights = await loadWeights(device, [plan], source, {
    onProgress(bytes) {
      loaded = bytes
      sample()
    },
  })
  clearInterval(timer)
  for (const buffer of weights.values()) buffer.destroy()
  return { peak, loaded }
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

describe('the host holds at most 64 MiB more while it loads 320 MiB', () => {
  test.each([
    ['F16', () => sparseCheckpoint('F16')],
    ['BF16', () => sparseCheckpoint('BF16')],
    ['F32', () => sparseCheckpoint('F32')],
    ['Q8_0', sparseGguf],
  ] as const)('of %s from a file', { timeout: 300_000 }, async (dtype, open) => {
    const device = await openDawnDevice({ backend: 'null' })
    const checkpoint = await open()
    const { peak, loaded } = await peakOf(device, checkpoint)
    await checkpoint.close()
    device.dispose()
    console.info(`loading ${mib(loaded)} from ${dtype}: at most ${mib(peak)} above the start`)
    expect(loaded).toBe(numTensors * shape[0] * shape[1] * 2)
    expect(peak).toBeGreaterThan(0)
    expect(peak).toBeLessThanOrEqual(allowedBytes)
  })

  test.each([
    ['F16', false],
    ['F16', true],
    ['Q8_0', false],
    ['Q8_0', true],
  ] as const)('of %s from a server; kept on disk: %s', { timeout: 300_000 }, async (dtype, isKept) => {
    const file = await (dtype === 'F16' ? sparseCheckpoint('F16') : sparseGguf())
    await file.close()
    await using server = await serveSparse(dtype === 'F16' ? 'F16.safetensors' : 'q8.gguf')
    const remote = httpStore(server.url, { network: steadyNetwork })
    const storage = isKept ? diskChunks(join(dir, 'cache')) : undefined
    const store = cachedStore(remote, { storage, hashing: nodeHashing })
    const checkpoint =
      dtype === 'F16'
        ? await openCheckpoint(store, { stem: 'F16' })
        : (await openGguf((await store.open('q8.gguf'))!)).checkpoint
    const device = await openDawnDevice({ backend: 'null' })
    const { peak, loaded } = await peakOf(device, checkpoint)
    await checkpoint.close()
    device.dispose()
    console.info(`loading ${mib(loaded)} of ${dtype} from a server: at most ${mib(peak)} above the start`)
    expect(loaded).toBe(numTensors * shape[0] * shape[1] * 2)
    expect(peak).toBeLessThanOrEqual(allowedBytes)
  })

  test('of random numbers', { timeout: 300_000 }, async () => {
    const { peak, loaded } = await peakOf(
      createRecordingDevice(minimalCapabilities),
      syntheticTensors('random', chain()),
    )
    console.info(`loading ${mib(loaded)} of random numbers: at most ${mib(peak)} above the start`)
    expect(peak).toBeLessThanOrEqual(allowedBytes)
  })
})
