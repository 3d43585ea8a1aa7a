// How random weights are written: in few submissions of bounded size, each waited for; the numbers are in test/gpu.

import { describe, expect, test } from 'vitest'
import { randomTensors, syntheticSpec } from '../../../src/bench/synthetic.ts'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice, type RecordingDevice } from '../../../src/device/recording/recording.ts'
import { planLlm } from '../../../src/engine/load.ts'
import { loadWeights } from '../../../src/engine/loadWeights.ts'
import type { Plan } from '../../../src/plan/types.ts'
import { tensorBytes } from '../../../src/plan/types.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'

const spec = syntheticSpec('synthetic:llama-2-7b')
const source = randomTensors('7b', spec, { dtype: 'f16' })
const plans = planLlm(
  spec,
  { dtype: 'f16', maxSeqLen: 64, maxNumSeqs: 1, numBlocks: 4, head: 'sample' },
  [{ T: 1, S: 1, R: 1 }],
  minimalCapabilities,
)

/** A recording device, and the plans that were run on it, each with what it is to write. */
function watchedDevice(onRun: (count: number) => void = () => undefined): {
  recording: RecordingDevice
  device: Device
  plans: Plan[]
  bytes: number[]
} {
  const recording = createRecordingDevice(minimalCapabilities)
  const plans: Plan[] = []
  const bytes: number[] = []
  const device: Device = {
    ...recording,
    run(prepared, step, outputs) {
      const { plan } = prepared
      plans.push(plan)
      bytes.push(
        plan.step.fields.reduce((sum, { name, offset }, index) => {
          if (!name.startsWith('part')) return sum
          const { dtype } =
            plan.graph.states[plan.graph.values[plan.graph.ops[index / 2]!.outputs['next']!]!.state!]!
          return sum + tensorBytes(step.words[offset + 1]!, dtype)
        }, 0),
      )
      onRun(plans.length)
      return recording.run(prepared, step, outputs)
    },
  }
  return { recording, device, plans, bytes }
}

describe('13 GB of a 7B model', () => {
  test('are written in submissions of 64 MiB, with a dispatch for each part of a weight', async () => {
    const { recording, device, plans: run, bytes } = watchedDevice()
    const weights = await loadWeights(device, plans, source)
    const total = bytes.reduce((sum, part) => sum + part, 0)
    expect(total).toBe(
      [...source.tensors.values()].reduce(
        (sum, { name, shape }) =>
          sum +
          tensorBytes(
            shape.reduce((a, b) => a * b, 1),
            name.includes('norm') ? 'f32' : 'f16',
          ),
        0,
      ),
    )
    expect(Math.max(...bytes)).toBeLessThanOrEqual(2 ** 26)
    expect(run.length).toBe(Math.ceil(total / 2 ** 26))
    // Nine tensors a layer, cut by bindings and by submissions.
    expect(run.reduce((sum, { dispatches }) => sum + dispatches.length, 0)).toBeLessThan(
      32 * 9 + 2 * run.length,
    )
    expect(new Set(run.flatMap(({ dispatches }) => dispatches.map(({ shader }) => shader.code))).size).toBe(2)
    // Each is waited for, and leaves nothing.
    expect(recording.numReads).toBe(run.length)
    expect(recording.memory()).toMatchObject({ states: 0, arena: 0 })
    for (const buffer of weights.values()) buffer.destroy()
    expect(recording.memory().weights).toBe(0)
  })

  test('end with the submission during which the load is cancelled, and are freed', async () => {
    const abort = new AbortController()
    const { recording, device, plans: run } = watchedDevice((count) => count === 3 && abort.abort())
    await expect(loadWeights(device, plans, source, { signal: abort.signal })).rejects.toMatchObject({
      code: 'engine/cancelled',
    })
    expect(run).toHaveLength(3)
    expect(recording.memory()).toMatchObject({ weights: 0, states: 0 })
  })

  test('are freed when the device fails', async () => {
    const recording = createRecordingDevice(minimalCapabilities)
    const error = new Error('lost')
    const device: Device = { ...recording, run: () => Promise.reject(error) }
    await expect(loadWeights(device, plans, source)).rejects.toBe(error)
    expect(recording.memory()).toMatchObject({ weights: 0, states: 0 })
  })
})
