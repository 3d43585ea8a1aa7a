// `tabhopper bench` against a device that computes nothing: flags, refusals, JSON, lines, the table.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { notForShape, notOnAdapter } from '../../../src/bench/forcedVariant.ts'
import type { KernelResult } from '../../../src/bench/kernels.ts'
import type { BenchDevice } from '../../../src/cli/deps.ts'
import { KernelReport } from '../../../src/cli/kernelReport.ts'
import { runCli } from '../../../src/cli/program.ts'
import { coloursFor } from '../../../src/cli/terminal.ts'
import { openDawnGpu } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
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
  const fake = fakeWith({ device, availableMemoryBytes })
  const code = await runCli(['bench', ...argv], fake)
  await Promise.resolve()
  return { code, out: fake.stdout.text, err: fake.stderr.text, fake, isDisposed }
}

function fakeWith(opened: Partial<BenchDevice> & { readonly device: Device }): Fake {
  const whole: BenchDevice = {
    gpu: undefined as unknown as GPUDevice,
    availableMemoryBytes: 2 ** 30,
    loadAverage: () => 0.5,
    ...opened,
  }
  return { ...fakeDeps(), openBenchDevice: async () => whole }
}

/** A recording device that says each dispatch took a microsecond, and never ends the step after `numSteps`. */
function stuckDevice(numSteps: number): { readonly device: Device; readonly isStuck: () => boolean } {
  const device = createRecordingDevice(minimalCapabilities)
  let begun = 0
  const step = async <T>(results: T): Promise<T> =>
    ++begun > numSteps ? new Promise(() => undefined) : results
  return {
    device: {
      ...device,
      run: async (...args) => step(await device.run(...args)),
      profile: async (prepared, ...rest) =>
        step({
          outputs: await device.run(prepared, ...rest),
          nanoseconds: new Float64Array(prepared.plan.dispatches.length).fill(1000),
        }),
    },
    isStuck: () => begun > numSteps,
  }
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
    const { code, out, err, isDisposed } = await bench([
      ...small,
      '--batch',
      '2',
      '--warm-ups',
      '0',
      '--json',
    ])
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
      version: fakeDeps().version,
      runs: 3,
      warmUps: 0,
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
      ['llama-15m-l1-f32-p20g4', 'prefill'],
      ['llama-15m-l1-f32-p20g4', 'decode'],
    ])
  })

  it('prints a table for people', async () => {
    const { out } = await bench(small)
    expect(out).toMatch(/^synthetic:llama-15m {2}f16, 1 layer, 20 \+ 4 tokens, batch 1\n/)
    for (const row of ['prefill', 'decode', 'time to first token', 'CPU per decode step', 'memory: weights'])
      expect(out).toContain(`\n${row}`)
    expect(out).toContain('this adapter has no timestamps')
  })

  it('keeps within a narrow terminal, and says how many sequences decode at once', async () => {
    const fake = fakeWith({ device: createRecordingDevice(minimalCapabilities) })
    Object.assign(fake.stdout, { columns: 60 })
    const batch = ['--batch', '6', '--prompt-tokens', '200', '--new-tokens', '2']
    expect(await runCli(['bench', ...small, ...batch], fake)).toBe(0)
    const lines = fake.stdout.text.split('\n')
    const decode = lines.findIndex((line) => line.startsWith('decode '))
    expect(lines[decode + 1]).toMatch(/^ {2}.* of 6 sequences: .* GB\/s of weights$/)
    expect(lines.filter((line) => line.length > 60)).toEqual([])
  })

  it.each([40, 45, 60, 80])('keeps within %i columns, kernels and all', async (columns) => {
    const fake = fakeWith({ device: stuckDevice(Infinity).device })
    Object.assign(fake.stdout, { columns })
    expect(await runCli(['bench', ...small], fake)).toBe(0)
    const lines = fake.stdout.text.split('\n')
    expect(fake.stdout.text).toContain('layers.*.attn')
    expect(lines.filter((line) => line.length > columns || /^ +$/.test(line))).toEqual([])
  })

  it('names the memory as refusals do', async () => {
    const { out } = await bench(small)
    expect(out).toMatch(
      /memory: weights [^,]+, KV cache [^,]+, arena [^,]+, step buffers [^,]+, \S+ \w+ in all/,
    )
  })

  it('says how many layers would fit, and they do', async () => {
    const big = [
      'llm',
      '--model',
      'synthetic:llama-15m',
      '--layers',
      '40',
      '--no-roofs',
      '--max-memory',
      '60MiB',
    ]
    const { code, err } = await bench(big)
    expect(code).toBe(1)
    const fitting = Number(/ Or take fewer layers: --layers (\d+) fits\.\n$/.exec(err)?.[1])
    const withLayers = (layers: number): string[] =>
      big.map((flag) => (flag === '40' ? String(layers) : flag))
    expect((await bench(withLayers(fitting))).code).toBe(0)
    expect((await bench(withLayers(fitting + 1))).code).toBe(1)
    // Where not even one would, it does not help.
    expect((await bench([...big.slice(0, -1), '1MiB'])).err).not.toContain('--layers')
  })

  it('ends at once on Ctrl-C, whatever the device is at', async () => {
    const { device, isStuck } = stuckDevice(2)
    const fake = fakeWith({ device })
    const ended = runCli(['bench', ...small], fake)
    await expect.poll(isStuck).toBe(true)
    fake.interrupt()
    expect(await ended).toBe(130)
    expect(fake.stderr.text).toBe('')
  })

  it('refuses what does not fit, with the sum, and frees the device', async () => {
    const { code, out, err, isDisposed } = await bench(['llm', '--model', 'synthetic:llama-2-70b'])
    expect({ code, out, isDisposed }).toEqual({ code: 1, out: '', isDisposed: true })
    expect(err).toMatch(
      /^\[engine\/memory\] synthetic:llama-2-70b: expected at most 819\.20 MiB, 80 % of the free memory, got 128\.\d\d GiB of weights in f16 \+ .* of KV cache .* = /,
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

  it('prints what ran as it comes, and in the end a line an op kind and reason for what cannot', () => {
    const report = new KernelReport(coloursFor(fakeDeps().stdout, {}), 60)
    const lines = [
      ran('linear', 'lm_head', 'linear_tile'),
      skipped(notForShape, 'linear', 'lm_head', 'linear_rows'),
      skipped(notOnAdapter, 'linear', 'lm_head', 'linear_matrix'),
      ran('linear', 'o_proj', 'linear_rows'),
      skipped(notOnAdapter, 'linear', 'o_proj', 'linear_matrix'),
      skipped(notForShape, 'linear', 'o_proj', 'linear_tile'),
      { ...ran('linear', 'o_proj', 'linear_gemv_subgroups'), isChosen: false, meantFor: 'gpu' as const },
      skipped('would take about 30 s', 'attention', 'attn', 'attention_naive'),
    ].map((result) => report.add(result))
    expect(lines).toEqual([
      [
        '',
        'llama-15m, 1 token                           µs    GB/s  GFLOP/s  of roof',
        '  lm_head',
        '    linear_tile *                             5       3            50.0 %',
      ],
      [],
      [],
      ['  o_proj', '    linear_rows *                             5       3            50.0 %'],
      [],
      [],
      ['    linear_gemv_subgroups (for GPUs)          5       3            50.0 %'],
      ['  attn', '    attention_naive  skipped: would take about 30 s'],
    ])
    expect(report.end()).toEqual([
      '',
      'linear: not on this adapter: linear_matrix',
      'linear: not for this shape or dtype: linear_tile (1 of 2),',
      '                                     linear_rows (1 of 2)',
    ])
  })

  describe('on a device', () => {
    let gpu: GPUDevice
    beforeAll(async () => {
      ;({ gpu } = await openDawnGpu({ backend: 'null' }))
    })
    afterAll(() => gpu.destroy())

    const flags = ['bench', 'kernels', '--model', 'synthetic:llama-15m', '--tokens', '1', '--runs', '1']

    it('leaves what was measured when Ctrl-C ends it', async () => {
      // Two steps a variant.
      const { device, isStuck } = stuckDevice(4)
      const fake = fakeWith({ device, gpu })
      const ended = runCli(flags, fake)
      await expect.poll(isStuck, { timeout: 20_000 }).toBe(true)
      expect(fake.stdout.text).toMatch(/\nllama-15m, 1 token .*\n {2}tokens\n {4}selectTokens \* .*\n/)
      fake.interrupt()
      expect(await ended).toBe(130)
      expect(fake.stderr.text).toBe('')
    })

    it('prints one JSON document, and nothing before it', async () => {
      const { device } = stuckDevice(Infinity)
      const fake = fakeWith({ device, gpu })
      expect(await runCli([...flags, '--family', 'rmsNorm', '--json'], fake)).toBe(0)
      expect(JSON.parse(fake.stdout.text)).toMatchObject({
        version: fake.version,
        runs: 1,
        contextTokens: 512,
        results: expect.arrayContaining([
          expect.objectContaining({ op: 'rmsNorm', micros: expect.any(Number) }),
        ]),
      })
    })

    it('refuses a family that passes have fused into others', async () => {
      const fake = fakeWith({ device: stuckDevice(0).device, gpu })
      expect(await runCli([...flags, '--family', 'silu'], fake)).toBe(2)
      expect(fake.stderr.text).toMatch(/--family: expected an op that is left .*linear.*, got silu\./)
    })
  })
})

describe('bad usage', () => {
  it.each([
    [
      'no subcommand',
      [],
      /^\[cli\/usage\] tabhopper bench: expected one of llm, kernels, roofs, help, got none\. /,
    ],
    [
      'an unknown subcommand',
      ['foo'],
      /^\[cli\/usage\] tabhopper bench: expected one of llm, kernels, roofs, help, got 'foo'\. /,
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
    ['JSON and lines', ['llm', '--json', '--lines'], /--lines: expected either .* got both\./],
    [
      'a revision of what is made up',
      ['llm', '--revision', 'main'],
      /--revision: .* got synthetic:llama-110m\./,
    ],
    ['a cache of what is made up', ['llm', '--no-cache'], /--no-cache: .* got synthetic:llama-110m\./],
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
