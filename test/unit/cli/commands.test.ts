// generate, logits and inspect against a fake engine; inspect against a real fixture.

import { describe, expect, it } from 'vitest'
import { openModelStore } from '../../../src/api/model.ts'
import { runCli } from '../../../src/cli/program.ts'
import { formatCount, table } from '../../../src/cli/terminal.ts'
import { formatBytes, formatBytesUp } from '../../../src/core/units.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { fakeDeps, probeOf, run, timings } from './fakes.ts'

describe('generate', () => {
  it('streams text and passes its flags on', async () => {
    const argv = [
      '--prompt',
      'Once',
      '--max-tokens',
      '5',
      '--temperature',
      '0',
      '--seed',
      '7',
      '--model',
      'm',
    ]
    const { code, out, err, fake } = await run(
      ['generate', ...argv, '--dtype', 'f32', '--max-seq-len', '64', '--adapter', 'llvm'],
      { answers: ['upon a time'] },
    )
    expect({ code, out, err }).toEqual({ code: 0, out: 'upon a time\n', err: '' })
    expect(fake.requests).toEqual([{ prompt: 'Once', max_tokens: 5, temperature: 0, seed: 7, stream: true }])
    expect(fake.engines[0]).toMatchObject({
      model: 'm',
      dtype: 'f32',
      maxSeqLen: 64,
      adapter: 'llvm',
      device: 'webgpu',
    })
    expect(fake.closed).toEqual(['engine'])
  })

  it('takes biases by token id', async () => {
    const argv = ['generate', '--prompt', 'a', '--logit-bias', '15:-100, 4:.5,7:2']
    const { fake } = await run(argv, { answers: ['b'] })
    expect(fake.requests).toMatchObject([{ logit_bias: { 4: 0.5, 7: 2, 15: -100 } }])
  })

  it('says on stderr what was shrunk, and why', async () => {
    const kvCache = { option: 'kvCacheTokens', asked: 16384, used: 4096 } as const
    const others = [
      { option: 'maxSeqLen', asked: 4096, used: 512 },
      { option: 'maxNumBatchedTokens', asked: 256, used: 32 },
    ] as const
    const argv = ['generate', '--prompt', 'a', '--max-memory', '1.5GiB']
    const shrunk = [kvCache, ...others].map((change) => ({ ...change, limit: 'maxMemory' as const }))
    const { out, err, fake } = await run(argv, { shrunk, answers: ['b'] })
    expect(fake.engines[0]).toMatchObject({ maxMemory: 1.5 * 2 ** 30 })
    expect({ out, err }).toEqual({
      out: 'b\n',
      err: 'To keep within --max-memory 1.5 GiB: tokens in the KV cache 16384 → 4096, --max-seq-len 4096 → 512, tokens a step 256 → 32\n',
    })
    const told = async (limit: 'freeMemory' | 'binding'): Promise<string> =>
      (await run(['generate', '--prompt', 'a'], { shrunk: [{ ...kvCache, limit }] })).err
    expect(await told('freeMemory')).toMatch(/^To leave a fifth of the free memory to others: tokens in/)
    expect(await told('binding')).toMatch(/^To fit the largest binding of Fake GPU: tokens in/)
  })

  it('prints one JSON document', async () => {
    const argv = ['generate', '--prompt', 'a', '--json', '--seed', '7']
    const { out } = await run(argv, { answers: ['two words'] })
    expect(JSON.parse(out)).toEqual({
      model: 'toy',
      adapter: 'Fake GPU',
      dtype: 'f16',
      seed: 7,
      text: 'two words',
      tokens: [1, 2],
      promptTokens: 7,
      finishReason: 'stop',
      timings,
    })
  })

  it('draws a seed where none is given, and tells it', async () => {
    const { out, fake } = await run(['generate', '--prompt', 'a', '--json'])
    const { seed } = JSON.parse(out)
    expect(seed).toSatisfy(Number.isSafeInteger)
    expect(fake.requests).toMatchObject([{ seed }])
    const again = JSON.parse((await run(['generate', '--prompt', 'a', '--json'])).out)
    expect(again.seed).not.toBe(seed)
  })

  it('prints null for the times that one token cannot have', async () => {
    const { out } = await run(['generate', '--prompt', 'a', '--json'], { answers: ['one'] })
    expect(JSON.parse(out)).toMatchObject({ timings: { tpotMs: null, decodeTokensPerSecond: null } })
  })

  it('reads the prompt from stdin, less the last line break', async () => {
    const { fake } = await run(['generate', '--prompt', '-'], { stdin: 'grüß\nGott\n' })
    expect(fake.requests).toMatchObject([{ prompt: 'grüß\nGott' }])
  })

  it('puts the prompt through the chat template when asked', async () => {
    const { fake } = await run(['generate', '--prompt', 'hi', '--chat'])
    expect(fake.requests).toMatchObject([{ prompt: Array.from('u:hi\n', (c) => c.charCodeAt(0)) }])
    expect(fake.closed).toEqual(['model', 'engine'])
  })

  it('adds tokens and speed on a terminal, and keeps control characters from it', async () => {
    const { out, err } = await run(['generate', '--prompt', 'a'], {
      isTTY: true,
      answers: ['red \u001b[31m alert'],
      env: { NO_COLOR: '1' },
    })
    expect(out).toBe('red [31m alert\n')
    expect(err).toContain('3 tokens, 250.0 tok/s\n')
  })
})

describe('logits', () => {
  it('prints every row as JSON', async () => {
    const { out, fake } = await run(['logits', '--tokens', '2, 5', '--device', 'reference', '--json'])
    expect(JSON.parse(out)).toEqual({
      model: 'toy',
      adapter: 'Fake GPU',
      dtype: 'f16',
      tokens: [2, 5],
      logits: [
        [0, -0.25, 9, -0.75, -1, -1.25],
        [0, -0.25, -0.5, -0.75, -1, 9],
      ],
    })
    // The reference is exact, so f16 weights must be asked for.
    expect(fake.engines).toMatchObject([{ device: 'reference', dtype: 'f32' }])
  })

  it('prints the best five ids of each position', async () => {
    const { out } = await run(['logits', '--tokens', '2'])
    expect(out.split('\n')[1]).toMatch(
      /^ +0 +2 +2: 9\.0000 +0: 0\.0000 +1: -0\.2500 +3: -0\.7500 +4: -1\.0000$/,
    )
  })
})

describe('inspect', () => {
  const inspect = async (...flags: string[]): Promise<string> => {
    const deps = {
      ...fakeDeps(),
      openModel: (model: string) => openModelStore(directoryStore(model)),
      probeAdapter: async () => probeOf('Fake GPU', false),
    }
    expect(await runCli(['inspect', '--model', `${fixturesDir}/golden/llama/gqa`, ...flags], deps)).toBe(0)
    return deps.stdout.text
  }

  it('sums the memory and counts the parameters', async () => {
    const document = JSON.parse(await inspect('--format', 'json', '--dtype', 'f32', '--max-seq-len', '32'))
    expect(document.parameters).toBe(60_736)
    expect(document.tensors).toHaveLength(21)
    expect(document.config).toMatchObject({ numLayers: 2, numKvHeads: 2 })
    const { weightBytes, kvCacheBytes, arenaBytes, stepBytes, readbackBytes, totalBytes } = document.memory
    expect(totalBytes).toBe(weightBytes + kvCacheBytes + arenaBytes + stepBytes + readbackBytes)
    // All parameters and the rotary table of 32 positions of 8 numbers, in f32.
    expect(weightBytes).toBe(4 * (60_736 + 32 * 8))
    expect(document.plan.limitsOf).toBe('Fake GPU')
    expect(document.plan.dispatches.length).toBeGreaterThan(10)
    expect(document.graph.values.some(({ shape }: { shape: unknown[] }) => shape.includes('T'))).toBe(true)
  })

  it('takes --json for --format json', async () => {
    expect(JSON.parse(await inspect('--json'))).toHaveProperty('memory')
  })

  it('writes out the first of the layers in its report', async () => {
    const text = await inspect()
    expect(text).toContain('gqa  60.7 k parameters')
    expect(text).toContain('model.layers.0.self_attn.q_proj.weight')
    expect(text).toContain('… layer 1 alike')
    expect(text).not.toContain('layers.1.')
  })

  it('shows types and bytes as the file has them', async () => {
    const deps = {
      ...fakeDeps(),
      openModel: async (model: string) => {
        const opened = await openModelStore(directoryStore(model))
        const [first, ...others] = opened.checkpoint.tensors.values()
        const quantised = { ...first!, stored: { type: 'Q4_1', bytes: 2 ** 30 } }
        const tensors = new Map([quantised, ...others].map((tensor) => [tensor.name, tensor]))
        return { ...opened, checkpoint: { ...opened.checkpoint, tensors, totalBytes: 3 * 2 ** 30 } }
      },
    }
    const argv = ['inspect', '--model', `${fixturesDir}/golden/llama/gqa`]
    await runCli(argv, deps)
    expect(deps.stdout.text).toContain('3 GiB on disk')
    expect(deps.stdout.text).toMatch(/ Q4_1 .* 1 GiB\n/)
    const again = { ...deps, stdout: fakeDeps().stdout }
    await runCli([...argv, '--json'], again)
    expect(JSON.parse(again.stdout.text).tensors[0]).toMatchObject({ dtype: 'Q4_1', bytes: 2 ** 30 })
  })

  it('draws the graph', async () => {
    expect(await inspect('--format', 'dot')).toMatch(/^digraph "llama" \{[^]*\}\n$/)
  })
})

describe('numbers for people', () => {
  it('are short', () => {
    expect([0, 1023, 1024, 1_048_575, 134_217_728].map(formatBytes)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1 KiB',
      '1 MiB',
      '128 MiB',
    ])
    const limits = [0, 100, 10_485, 10_486, 2 ** 20 + 1, 3 * 2 ** 30]
    expect(limits.map(formatBytesUp)).toEqual([
      '0 bytes',
      '100 bytes',
      '10485 bytes',
      '0.02 MiB',
      '1.01 MiB',
      '3.00 GiB',
    ])
    expect([999, 60_736, 2_412_345, 7e9].map(formatCount)).toEqual(['999', '60.7 k', '2.41 M', '7 G'])
  })

  it('stand in columns, whatever their colour', () => {
    expect(
      table(
        [
          ['a', '\u001b[1m10\u001b[22m'],
          ['bbb', '5'],
        ],
        [1],
      ),
    ).toEqual(['a    \u001b[1m10\u001b[22m', 'bbb   5'])
  })
})
