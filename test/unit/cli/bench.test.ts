// `tabhopper bench` against a device that computes nothing: flags, refusals, JSON, lines, the table.

import { describe, expect, it } from 'vitest'
import { notForShape, notOnAdapter } from '../../../src/bench/forcedVariant.ts'
import type { KernelResult } from '../../../src/bench/kernels.ts'
import { kernelReport } from '../../../src/cli/benchReport.ts'
import type { BenchDevice } from '../../../src/cli/deps.ts'
import { runCli } from '../../../src/cli/program.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'
import { fakeDeps, type Fake } from './fakes.ts'

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly fake: Fake
  readonly isDisposed: boolean
}

async function bench(argv: readonly string[], availableMemoryBytes = 2 ** 30): Promise<Outcome> {
  const device = createRecordingDevice(minimalCapabilities)
  let isDisposed = false
  void device.lost.then(() => (isDisposed = true))
  const opened: BenchDevice = {
    device,
    gpu: undefined as unknown as GPUDevice,
    availableMemoryBytes,
    loadAverage: () => 0.5,
  }
  const fake = { ...fakeDeps(), openBenchDevice: async () => opened }
  const code = await runCli(['bench', ...argv], fake)
  await Promise.resolve()
  return { code, out: fake.stdout.text, err: fake.stderr.text, fake, isDisposed }
}

const small = [
  'llm',
  '--model',
  'synthetic:llama-15m',
  '--layers',
  '1',
  '--prompt-tokens',
  '20',
  '--new-tokens',
  '4',
  '--no-roofs',
]

describe('bench llm', () => {
  it('prints one JSON document', async () => {
    const { code, out, err, isDisposed } = await bench([...small, '--batch', '2', '--json'])
    expect({ code, err, isDisposed }).toEqual({ code: 0, err: '', isDisposed: true })
    expect(JSON.parse(out)).toMatchObject({
      model: 'synthetic:llama-15m',
      dtype: 'f16',
      numLayers: 1,
      promptTokens: 20,
      newTokens: 4,
      batch: 2,
      ttftMs: { median: expect.any(Number), runs: expect.any(Array) },
      prefillTokensPerSecond: { min: expect.any(Number), max: expect.any(Number) },
      decodeTokensPerSecond: { runs: { length: 3 } },
      cpuMsPerDecodeStep: { median: expect.any(Number) },
      bytes: { weights: expect.any(Number), states: expect.any(Number) },
      loadAverage: 0.5,
    })
  })

  it('prints a line for each metric of the comparison with others', async () => {
    const { code, out } = await bench([...small, '--dtype', 'f32', '--lines'])
    expect(code).toBe(0)
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ workload, metric }) => [workload, metric])).toEqual([
      ['llama-15m-f32-p20g4', 'prefill'],
      ['llama-15m-f32-p20g4', 'decode'],
    ])
  })

  it('prints a table for people', async () => {
    const { out } = await bench(small)
    expect(out).toMatch(/^synthetic:llama-15m {2}f16, 1 layers, 20 \+ 4 tokens, batch 1\n/)
    for (const row of ['prefill', 'decode', 'time to first token', 'CPU per decode step', 'memory: weights'])
      expect(out).toContain(`\n${row}`)
    expect(out).toContain('this adapter has no timestamps')
  })

  it('refuses what does not fit, with the sum, and frees the device', async () => {
    const { code, out, err, isDisposed } = await bench(['llm', '--model', 'synthetic:llama-2-70b'])
    expect({ code, out, isDisposed }).toEqual({ code: 1, out: '', isDisposed: true })
    expect(err).toMatch(
      /^\[engine\/memory\] synthetic:llama-2-70b: expected at most 819\.20 MiB, got 128\.\d\d GiB of weights in f16 \+ .* of KV cache .* = /,
    )
    const raised = await bench([...small, '--max-memory', '1GiB'], 1)
    expect(raised.code).toBe(0)
    expect((await bench(small, 1)).code).toBe(1)
  })
})

describe('bench kernels', () => {
  const ran = (op: 'linear' | 'attention', origin: string, variant: string): KernelResult => ({
    model: 'synthetic:llama-15m',
    tokens: 1,
    op,
    origin,
    shape: '',
    variant,
    isChosen: true,
    meantFor: undefined,
    micros: 5,
    gigabytesPerSecond: 3,
    gflops: undefined,
    roofFraction: 0.5,
    skipped: undefined,
  })
  const skipped = (reason: string, ...place: Parameters<typeof ran>): KernelResult => ({
    ...ran(...place),
    isChosen: false,
    micros: undefined,
    gigabytesPerSecond: undefined,
    roofFraction: undefined,
    skipped: reason,
  })

  it('prints a row for what ran, and a line an op kind and reason for what cannot', () => {
    const lines = kernelReport([
      ran('linear', 'lm_head', 'plain'),
      skipped(notForShape, 'linear', 'lm_head', 'wide'),
      skipped(notOnAdapter, 'linear', 'lm_head', 'matrix'),
      ran('linear', 'o_proj', 'wide'),
      skipped(notOnAdapter, 'linear', 'o_proj', 'matrix'),
      { ...ran('linear', 'o_proj', 'tiled'), isChosen: false, meantFor: 'gpu' },
      ran('attention', 'attn', 'plain'),
    ])
    expect(lines.slice(1, 5).map((line) => line.split(/ {2,}/).slice(2, 4))).toEqual([
      ['plain *', 'lm_head'],
      ['wide *', 'o_proj'],
      ['tiled (for GPUs)', 'o_proj'],
      ['plain *', 'attn'],
    ])
    expect(lines.slice(5)).toEqual([
      '* the variant that plans take',
      'linear: not on this adapter: matrix',
      'linear: not for this shape or dtype: wide (1 of 2)',
    ])
  })
})

describe('bad usage', () => {
  it.each([
    [
      'no subcommand',
      [],
      /^\[cli\/usage\] tabhopper bench: expected one of llm, kernels, roofs, got none\. /,
    ],
    [
      'an unknown subcommand',
      ['foo'],
      /^\[cli\/usage\] tabhopper bench: expected one of llm, kernels, roofs, got 'foo'\. /,
    ],
    [
      'an unknown flag',
      ['llm', '--jsn'],
      /^\[cli\/usage\] tabhopper bench llm: .*'--jsn'\. Did you mean --json\?/,
    ],
    [
      'an unknown synthetic model',
      ['llm', '--model', 'synthetic:x'],
      /--model: expected synthetic:llama-15m or .* got synthetic:x\./,
    ],
    ['no model', ['llm', '--model', ''], /--model: .* got nothing\./],
    ['no prompt', ['llm', '--prompt-tokens', '0'], /--prompt-tokens: .* got 0\./],
    ['half a token', ['llm', '--new-tokens', '1.5'], /--new-tokens: .* got 1\.5\./],
    ['too many sequences', ['llm', '--batch', '257'], /--batch: .* from 1 to 256, got 257\./],
    ['a dtype that is none', ['llm', '--dtype', 'int8'], /--dtype: .* got int8\./],
    ['a size that is none', ['llm', '--max-memory', '3 apples'], /--max-memory: .* got 3 apples\./],
    ['no size', ['llm', '--max-memory', '0'], /--max-memory: .* got 0\./],
    [
      'more than the context',
      ['llm', '--model', 'synthetic:llama-15m', '--prompt-tokens', '2000'],
      /--prompt-tokens: expected at most 2048 tokens in all/,
    ],
    [
      'layers of a real model',
      ['llm', '--model', './m', '--layers', '2'],
      /--layers: expected a synthetic model, got \.\/m\./,
    ],
    ['a family that is none', ['kernels', '--family', 'conv'], /--family: .* got conv\./],
    ['token counts that are none', ['kernels', '--tokens', '1,x'], /--tokens: .* got x\./],
    [
      'kernels of a real model',
      ['kernels', '--model', './m'],
      /--model: expected a synthetic model, got \.\/m\./,
    ],
  ])('exits with 2 for %s', async (_name, argv, message) => {
    const { code, out, err } = await bench(argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(message)
    expect(err.split('\n')).toHaveLength(2)
  })
})

it.each([['llm'], ['kernels'], ['roofs']])('bench %s --help shows an example', async (name) => {
  const { code, out } = await bench([name, '--help'])
  expect(code).toBe(0)
  expect(out).toMatch(/Examples?:\n {2}\$ tabhopper bench/)
})
