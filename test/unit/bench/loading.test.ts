// Loading streams: whatever the checkpoint's size, the host holds a few MiB of it. Real files (sparse, so that they
// take no disk), the real reader and loader, Dawn's null backend.

import { mkdtempSync, openSync, closeSync, ftruncateSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { syntheticCheckpoint } from '../../../src/bench/synthetic.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { loadWeights } from '../../../src/engine/loadWeights.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { openCheckpoint } from '../../../src/weights/sharded.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'

const allowedBytes = 64 * 2 ** 20
const numTensors = 6
const shape = [8192, 4096] as const

/** A chain of linears over 6 tensors of 64 MiB in f16. */
function chain(): Graph {
  const b = new GraphBuilder('chain')
  const ids = b.input('ids', 'i32', [symbol('T')])
  let x = b.apply('embedding', 'x', { table: b.weight(tensor('w0', shape), 'f16'), ids }, { dtype: 'f16' })
  for (let i = 1; i < numTensors; i++) {
    const w = b.weight(tensor(`w${i}`, shape), 'f16')
    const wide = b.apply('linear', `up${i}`, { x, w }, { dtype: 'f16', activation: 'none' })
    x = b.apply('slice', `cut${i}`, { x: wide }, { start: 0, length: shape[1] })
  }
  b.output('y', b.apply('silu', 'y', { x }, { dtype: 'f16' }))
  return b.finish()
}

const dir = mkdtempSync(join(tmpdir(), 'tabhopper-loading-'))
afterAll(() => rmSync(dir, { recursive: true }))

/** All zeros, in a sparse safetensors file. */
async function sparseCheckpoint(dtype: 'F16' | 'BF16' | 'F32'): Promise<Checkpoint> {
  const bytes = shape[0] * shape[1] * (dtype === 'F32' ? 4 : 2)
  const header = Object.fromEntries(
    Array.from({ length: numTensors }, (_, i) => [
      `w${i}`,
      { dtype, shape, data_offsets: [i * bytes, (i + 1) * bytes] },
    ]),
  )
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const file = openSync(join(dir, `${dtype}.safetensors`), 'w')
  writeSync(file, Buffer.concat([length, json]))
  ftruncateSync(file, 8 + json.length + numTensors * bytes)
  closeSync(file)
  return openCheckpoint(directoryStore(dir), { stem: dtype })
}

/** Most bytes above the start that buffers outside V8's heap took while loading. */
async function peakOf(device: Device, checkpoint: Checkpoint): Promise<{ peak: number; loaded: number }> {
  const plan = makePlan(chain(), {
    kernels: wgslKernels,
    capabilities: device.capabilities,
    maxima: { T: 1, S: 1, R: 1 },
  })
  // Array buffers are part of `external`; adding the two figures would count each buffer twice.
  const held = (): number => process.memoryUsage().external
  const baseline = held()
  let peak = 0
  let loaded = 0
  const weights = await loadWeights(device, [plan], checkpoint, {
    onProgress(bytes) {
      loaded = bytes
      peak = Math.max(peak, held() - baseline)
    },
  })
  for (const buffer of weights.values()) buffer.destroy()
  return { peak, loaded }
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

describe('the host holds at most 64 MiB more while it loads 384 MiB', () => {
  test.each(['F16', 'BF16', 'F32'] as const)('of %s from a file', { timeout: 300_000 }, async (dtype) => {
    const device = await openDawnDevice({ backend: 'null' })
    const checkpoint = await sparseCheckpoint(dtype)
    const { peak, loaded } = await peakOf(device, checkpoint)
    await checkpoint.close()
    device.dispose()
    console.info(`loading ${mib(loaded)} from ${dtype}: at most ${mib(peak)} above the start`)
    expect(loaded).toBe(numTensors * shape[0] * shape[1] * 2)
    expect(peak).toBeGreaterThan(0)
    expect(peak).toBeLessThanOrEqual(allowedBytes)
  })

  test('of random numbers', { timeout: 300_000 }, async () => {
    const { peak, loaded } = await peakOf(
      createRecordingDevice(minimalCapabilities),
      syntheticCheckpoint('random', chain()),
    )
    console.info(`loading ${mib(loaded)} of random numbers: at most ${mib(peak)} above the start`)
    expect(peak).toBeLessThanOrEqual(allowedBytes)
  })
})
