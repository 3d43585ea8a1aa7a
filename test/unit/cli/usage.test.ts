// How the command line answers good and bad usage, faults, Ctrl-C and closed pipes.

import { describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/program.ts'
import { RuntimeFault, type FaultCode } from '../../../src/core/errors.ts'
import { fakeDeps, run, until } from './fakes.ts'

describe('the program', () => {
  it('prints its version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: '1.2.3\n', err: '' })
  })

  it.each([[[]], [['--help']]])('prints help for the arguments %j and succeeds', async (argv: string[]) => {
    const { code, out, err } = await run(argv)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('Usage: tabhopper')
  })

  it.each(['chat', 'generate', 'logits', 'inspect', 'doctor'])('shows an example for %s', async (name) => {
    const { code, out } = await run([name, '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/Examples?:\n {2}\$ /)
  })

  it.each([
    [['help'], ['--help']],
    [
      ['help', 'bench'],
      ['bench', '--help'],
    ],
    [
      ['help', 'bench', 'llm'],
      ['bench', 'llm', '--help'],
    ],
    [
      ['cache', 'help', 'list'],
      ['cache', 'list', '--help'],
    ],
  ])('prints for %j what it prints for %j', async (asked, meant) => {
    const { code, out, err } = await run(asked)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toBe((await run(meant)).out)
    expect(out).toContain('Usage: tabhopper')
    // Commander would say it in its own words.
    expect(out).not.toContain('display help')
  })

  it('does not tell of the hidden flag', async () => {
    expect((await run(['doctor', '--help'])).out).not.toContain('--probe')
  })
})

describe('bad usage', () => {
  it.each([
    ['an unknown command', ['foo'], /^\[cli\/usage\] tabhopper: expected one of .*, got 'foo'\. Run/],
    [
      'an unknown option',
      ['doctor', '--jsn'],
      /^\[cli\/usage\] tabhopper doctor: .*'--jsn'\. Did you mean --json\?/,
    ],
    [
      'a missing option',
      ['generate'],
      /^\[cli\/usage\] tabhopper generate: expected --prompt <text>, got none\./,
    ],
    ['a missing value', ['generate', '--prompt'], /expected a value for --prompt <text>, got none\./],
    [
      'loose words',
      ['generate', '--prompt', 'a', 'b', 'c d'],
      /^\[cli\/usage\] tabhopper generate: expected options only, got 'b' 'c d'\. Quote text that has spaces\./,
    ],
    [
      'a word where none is taken',
      ['cache', 'list', 'x'],
      /^\[cli\/usage\] tabhopper cache list: expected options only, got 'x'\. Run `tabhopper cache list --help`\.\n$/,
    ],
    [
      'a word too many',
      ['cache', 'delete', 'x', 'y'],
      /tabhopper cache delete: expected nothing after model but options, got 'y'\. Run/,
    ],
    [
      'help on nothing known',
      ['help', 'foo'],
      /^\[cli\/usage\] tabhopper: expected one of chat, .*, got 'foo'\. Run/,
    ],
    [
      'help on nothing known of a command',
      ['cache', 'help', 'foo'],
      /^\[cli\/usage\] tabhopper cache: expected one of list, delete, help, got 'foo'\. Run/,
    ],
    [
      'help on what has no commands',
      ['help', 'doctor', 'x'],
      /tabhopper doctor: expected no further name, got 'x'\./,
    ],
    [
      'one token biased twice',
      ['chat', '--logit-bias', '1:1,3:0,01:2'],
      /--logit-bias: expected each id once, got 1 twice\./,
    ],
    [
      'two formats',
      ['inspect', '--format', 'dot', '--json'],
      /--json: expected either --json or --format dot, got both\./,
    ],
    [
      'an empty prompt',
      ['generate', '--prompt', ''],
      /^\[cli\/usage\] --prompt: expected some text, got nothing\./,
    ],
    [
      'an empty prompt from stdin',
      ['generate', '--prompt', '-'],
      /--prompt: expected some text, got nothing\./,
    ],
    [
      'zero tokens',
      ['generate', '--prompt', 'a', '--max-tokens', '0'],
      /^\[cli\/usage\] --max-tokens: .* got 0\./,
    ],
    ['a fraction of a token', ['chat', '--max-tokens', '1.5'], /--max-tokens: .* got 1\.5\./],
    ['a cold temperature', ['chat', '--temperature', '-1'], /--temperature: .* got -1\./],
    ['a word as temperature', ['chat', '--temperature', 'hot'], /--temperature: .* got hot\./],
    ['an infinite temperature', ['chat', '--temperature', 'Infinity'], /--temperature: .* got Infinity\./],
    ['a seed beyond integers', ['chat', '--seed', '9007199254740993'], /--seed: .* got 9007199254740993\./],
    ['more than all of the probability', ['chat', '--top-p', '1.1'], /--top-p: .* from 0 to 1, got 1\.1\./],
    ['no tokens to draw from', ['chat', '--top-k', '0'], /--top-k: .* got 0\./],
    ['a penalty beyond its range', ['chat', '--presence-penalty', '-3'], /from -2 to 2, got -3\./],
    ['a bias without a token', ['chat', '--logit-bias', '-5'], /--logit-bias: .* got -5\./],
    ['a bias beyond its range', ['chat', '--logit-bias', '3:1,4:101'], /-100 to 100, .* got 3:1,4:101\./],
    ['a dtype that is none', ['chat', '--dtype', 'f64'], /--dtype: expected f32 or f16, got f64\./],
    [
      'a device that is none',
      ['chat', '--device', 'cuda'],
      /--device: expected webgpu or reference, got cuda\./,
    ],
    ['an empty model', ['inspect', '--model', ''], /--model: .* got nothing\./],
    ['a format that is none', ['inspect', '--format', 'svg'], /--format: .* got svg\./],
    ['a token that is none', ['logits', '--tokens', '1,x'], /--tokens: .* got x\./],
    ['an empty token', ['logits', '--tokens', '1,,2'], /--tokens: .* got nothing\./],
  ])('exits with 2 for %s', async (_name, argv, message) => {
    const { code, out, err, fake } = await run(argv)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(message)
    expect(err.split('\n')).toHaveLength(2)
    expect(fake.engines).toEqual([])
  })
})

describe('failure', () => {
  const fault = new RuntimeFault('device/adapter', {
    where: 'any adapter',
    expected: 'one',
    got: 'none',
    fix: 'Buy one.',
  })

  it('exits with 1 and the one line of a fault', async () => {
    const { code, err } = await run(['generate', '--prompt', 'a'], { createEngineError: fault })
    expect(code).toBe(1)
    expect(err).toBe('[device/adapter] any adapter: expected one, got none. Buy one.\n')
  })

  it('shows a bug of ours on one line, and the stack only when asked', async () => {
    const createEngineError = new TypeError('x is\nnot a function', { cause: new Error('deep down') })
    const plain = await run(['generate', '--prompt', 'a'], { createEngineError })
    expect(plain.code).toBe(1)
    expect(plain.err).toMatch(/^\[internal\] tabhopper: .* got TypeError: x is not a function\. .*\n$/)
    const debug = await run(['generate', '--prompt', 'a'], {
      createEngineError,
      env: { TABHOPPER_DEBUG: '1' },
    })
    expect(debug.err).toContain('usage.test.ts')
    expect(debug.err).toContain('caused by: Error: deep down')
  })

  it('colours a fault on a terminal unless NO_COLOR is set', async () => {
    const script = { createEngineError: fault, isTTY: true }
    expect((await run(['logits', '--tokens', '1'], script)).err).toContain('\u001b[31m[device/adapter]')
    const plain = await run(['logits', '--tokens', '1'], { ...script, env: { NO_COLOR: '1' } })
    expect(plain.err).not.toContain('\u001b[31m')
  })
})

describe('what the engine refuses', () => {
  const refused = async (argv: readonly string[], code: FaultCode, where: string, fix: string) => {
    const createEngineError = new RuntimeFault(code, { where, expected: 'x', got: 'y', fix })
    return run(argv, { createEngineError })
  }
  const generate = ['generate', '--prompt', 'a']
  const logits = ['logits', '--tokens', '1']

  it.each([
    [generate, 'maxSeqLen', 'Correct maxSeqLen.', '--max-seq-len', 'Correct --max-seq-len.'],
    [
      generate,
      'logit_bias of token 5',
      'Correct logit_bias.',
      '--logit-bias of token 5',
      'Correct --logit-bias.',
    ],
    [logits, 'tokens', 'Correct tokens.', '--tokens', 'Correct --tokens.'],
    // logits has no such flag.
    [logits, 'top_k', 'Correct top_k.', 'top_k', 'Correct top_k.'],
    // A prompt that does not fit.
    [
      logits,
      'tokens',
      'Shorten the tokens or raise maxSeqLen.',
      '--tokens',
      'Shorten the tokens or raise --max-seq-len.',
      'engine/context',
    ],
    [generate, 'prompt', 'Give a prompt.', '--prompt', 'Give a prompt.', 'engine/context'],
    [generate, 'HF_ENDPOINT', 'Correct HF_ENDPOINT.', 'HF_ENDPOINT', 'Correct HF_ENDPOINT.'],
  ] as const)(
    'is bad usage of %j: %s',
    async (argv, where, fix, flag, advice, fault: FaultCode = 'engine/input') => {
      const { code, err } = await refused(argv, fault, where, fix)
      expect({ code, err }).toEqual({ code: 2, err: `[cli/usage] ${flag}: expected x, got y. ${advice}\n` })
    },
  )

  it('for another reason is a failure, and advice names flags', async () => {
    const fix = 'Shorten the prompt or raise maxSeqLen and maxMemory, not maxNumSeqs.'
    const { code, err } = await refused(generate, 'engine/memory', 'prompt', fix)
    expect(code).toBe(1)
    expect(err).toBe(
      '[engine/memory] --prompt: expected x, got y. Shorten the prompt or raise --max-seq-len and --max-memory, not maxNumSeqs.\n',
    )
  })

  it('sums sizes up in flags, or in words where there is no flag', async () => {
    const sizes = 'With maxSeqLen 512, maxNumSeqs 8.'
    expect((await refused(generate, 'engine/memory', 'm', sizes)).err).toBe(
      '[engine/memory] m: expected x, got y. With --max-seq-len 512, 8 sequences at once.\n',
    )
    expect((await refused(['bench', 'llm'], 'engine/memory', 'm', sizes)).err).not.toContain('maxNumSeqs')
  })

  it('is a prompt that does not fit, of no flag: a failure', async () => {
    const { code, err } = await refused(['chat'], 'engine/context', 'prompt', 'Shorten it.')
    expect({ code, err }).toEqual({
      code: 1,
      err: '[engine/context] prompt: expected x, got y. Shorten it.\n',
    })
  })
})

describe('an early end', () => {
  it('by Ctrl-C cancels the request, disposes the engine and exits with 130', async () => {
    const fake = fakeDeps({ answers: ['one hang'] })
    const done = runCli(['generate', '--prompt', 'a'], fake)
    await until(() => fake.stdout.text.includes('one'))
    fake.interrupt()
    expect(await done).toBe(130)
    expect(fake.closed).toEqual(['engine'])
    expect(fake.stderr.text).toBe('')
  })

  it('by a second Ctrl-C does not wait', async () => {
    const fake = fakeDeps({ answers: ['one hang'] })
    const done = runCli(['generate', '--prompt', 'a'], fake)
    await until(() => fake.stdout.text.includes('one'))
    fake.interrupt()
    fake.interrupt()
    expect(fake.exits).toEqual([130])
    await done
  })

  it('by a full disk is told as one', async () => {
    const fake = fakeDeps({ answers: ['one hang'] })
    const done = runCli(['generate', '--prompt', 'a'], fake)
    await until(() => fake.stdout.text.includes('one'))
    fake.stdout.destroy(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }))
    expect(await done).toBe(1)
    expect(fake.stderr.text).toBe(
      '[file/io] stdout: expected to write, got a full disk (ENOSPC). Make room, or write elsewhere.\n',
    )
  })

  it('by a reader that went away is quiet and no failure', async () => {
    const fake = fakeDeps({ answers: ['one hang'] })
    const done = runCli(['generate', '--prompt', 'a'], fake)
    await until(() => fake.stdout.text.includes('one'))
    fake.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    expect(await done).toBe(0)
    expect(fake.stderr.text).toBe('')
    expect(fake.closed).toEqual(['engine'])
  })
})
