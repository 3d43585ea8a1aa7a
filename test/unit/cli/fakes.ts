// Fakes of everything outside the command line: streams that remember, an engine that answers from a list.

import { PassThrough } from 'node:stream'
import type {
  CachedModel,
  ChatCompletionChunk,
  CompletionChunk,
  Engine,
  ModelOptions,
  Timings,
} from '../../../src/api/types.ts'
import type { AdapterProbe, ChildResult, CliDeps, CreateEngineOptions } from '../../../src/cli/deps.ts'
import { runCli } from '../../../src/cli/program.ts'
import { webgpuMinimum } from '../../../src/cli/inspect/inspection.ts'
import { cancelled } from '../../../src/core/errors.ts'
import type { Tokenizer } from '../../../src/text/tokenizer.ts'

export const timings: Timings = {
  ttftMs: 12,
  tpotMs: 4,
  prefillTokensPerSecond: 500,
  decodeTokensPerSecond: 250,
}

export class FakeStream extends PassThrough {
  text = ''
  readonly isTTY: boolean
  readonly columns = 100

  constructor(isTTY: boolean) {
    super()
    this.isTTY = isTTY
    this.on('data', (chunk: Buffer) => (this.text += chunk.toString()))
  }
}

export function probeOf(description: string, isSoftware: boolean, features: string[] = []): AdapterProbe {
  return {
    info: {
      vendor: 'mesa',
      architecture: '',
      device: description,
      description,
      backend: 'default',
      isSoftware,
      features,
      subgroupMinSize: 8,
      subgroupMaxSize: 8,
    },
    limits: {
      maxStorageBufferBindingSize: 2 ** 27,
      maxBufferSize: 2 ** 32,
      maxComputeWorkgroupStorageSize: 2 ** 15,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxStorageBuffersPerShaderStage: 16,
    },
    languageFeatures: [],
    capabilities: webgpuMinimum,
  }
}

export interface Script {
  /** Answers to requests, in order; each word is a chunk. `hang` never ends by itself. */
  answers?: string[]
  maxSeqLen?: number
  shrunk?: Engine['shrunk']
  /** Tokens are characters. */
  hasTemplate?: boolean
  /** Outcome of `doctor --probe` by driver file; '' is the default. */
  probes?: Record<string, Partial<ChildResult> | AdapterProbe | null>
  env?: Record<string, string>
  platform?: string
  fileRoot?: string
  isTTY?: boolean
  stdin?: string
  createEngineError?: unknown
  /** Models in the cache. */
  cached?: CachedModel[]
  /** By a deletion; default 3 MiB. */
  freedBytes?: number
  /** What loading an engine tells. */
  notice?: string
}

export interface Fake extends CliDeps {
  readonly stdin: PassThrough & { isTTY: boolean }
  readonly stdout: FakeStream
  readonly stderr: FakeStream
  readonly requests: unknown[]
  readonly engines: CreateEngineOptions[]
  /** Options of models that were opened without an engine. */
  readonly opened: ModelOptions[]
  readonly closed: string[]
  /** What was deleted from the cache; undefined is everything. */
  readonly deleted: (string | undefined)[]
  readonly exits: number[]
  interrupt(): void
}

export function fakeDeps(script: Script = {}): Fake {
  const isTTY = script.isTTY ?? false
  const stdin = Object.assign(new PassThrough(), { isTTY })
  if (!isTTY) stdin.end(script.stdin ?? '')
  const requests: unknown[] = []
  const engines: CreateEngineOptions[] = []
  const opened: ModelOptions[] = []
  const closed: string[] = []
  const deleted: (string | undefined)[] = []
  const exits: number[] = []
  const listeners = new Set<() => void>()
  const answers = [...(script.answers ?? [])]
  const words = async function* (signal: AbortSignal | undefined): AsyncGenerator<string> {
    const answer = answers.shift() ?? 'Yes.'
    for (const word of answer.split(/(?<= )/)) {
      if (word === 'hang') await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      if (signal?.aborted === true) throw cancelled('request')
      yield word
    }
  }
  const usage = (numTokens: number) => ({
    prompt_tokens: 7,
    completion_tokens: numTokens,
    total_tokens: 7 + numTokens,
  })
  const engine = {
    model: 'toy',
    adapter: probeOf('Fake GPU', false).info,
    dtype: 'f16',
    vocabSize: 6,
    maxSeqLen: script.maxSeqLen ?? 400,
    shrunk: script.shrunk ?? [],
    chat: {
      completions: {
        async *create(request: { signal?: AbortSignal }): AsyncGenerator<Partial<ChatCompletionChunk>> {
          requests.push(structuredClone({ ...request, signal: undefined }))
          let numTokens = 0
          for await (const content of words(request.signal)) {
            numTokens++
            yield { choices: [{ index: 0, delta: { content }, finish_reason: null }] }
          }
          yield { choices: [], usage: usage(numTokens), timings }
        },
      },
    },
    completions: {
      create(request: { signal?: AbortSignal; stream?: boolean }): unknown {
        requests.push(structuredClone({ ...request, signal: undefined }))
        if (request.stream === true) return stream(request.signal)
        return whole(request.signal)
      },
    },
    logits: async (tokens: readonly number[]) => ({
      logits: tokens.map((token) =>
        Float64Array.from({ length: 6 }, (_, id) => (id === token ? 9 : -id / 4)),
      ),
    }),
    dispose: async () => void closed.push('engine'),
  } as unknown as Engine
  async function* stream(signal: AbortSignal | undefined): AsyncGenerator<Partial<CompletionChunk>> {
    let numTokens = 0
    for await (const text of words(signal)) {
      numTokens++
      yield { choices: [{ index: 0, text, tokens: [1], finish_reason: null }] }
    }
    yield { choices: [], usage: usage(numTokens), timings }
  }
  async function whole(signal: AbortSignal | undefined): Promise<unknown> {
    const pieces: string[] = []
    for await (const word of words(signal)) pieces.push(word)
    const tokens = pieces.map((_, index) => index + 1)
    return {
      choices: [{ index: 0, text: pieces.join(''), tokens, finish_reason: 'stop' }],
      usage: usage(tokens.length),
      timings: tokens.length > 1 ? timings : { ttftMs: 12, prefillTokensPerSecond: 500 },
    }
  }
  const tokenizer = {
    chatTemplate:
      script.hasTemplate === false
        ? undefined
        : {
            source: '',
            render: (messages: { role: string; content: string }[]) =>
              messages.map(({ role, content }) => `${role[0]}:${content}\n`).join(''),
          },
    encode: (text: string) => Array.from(text, (character) => character.codePointAt(0)!),
  } as unknown as Tokenizer
  return {
    version: '1.2.3',
    machine: {
      platform: script.platform ?? 'linux',
      arch: 'x64',
      nodeVersion: '20.0.0',
      isRoot: false,
      home: '/home/someone',
      fileRoot: script.fileRoot ?? '/nowhere',
    },
    env: script.env ?? {},
    stdin,
    stdout: new FakeStream(isTTY),
    stderr: new FakeStream(isTTY),
    requests,
    engines,
    opened,
    closed,
    deleted,
    exits,
    createEngine: async (options) => {
      engines.push(options)
      if (script.createEngineError !== undefined) throw script.createEngineError
      if (script.notice !== undefined) options.onNotice?.(script.notice)
      options.onProgress?.({ phase: 'upload', loadedBytes: 1, totalBytes: 2 })
      return engine
    },
    async openModel(name, options) {
      opened.push(options)
      return {
        name,
        json: {},
        config: {} as never,
        spec: {} as never,
        checkpoint: {} as never,
        tokenizer,
        close: async () => void closed.push('model'),
      }
    },
    modelCache: async () => ({
      list: async () => script.cached ?? [],
      async delete(model) {
        deleted.push(model)
        return script.freedBytes ?? 3 * 2 ** 20
      },
    }),
    probeAdapter: async () => undefined,
    openBenchDevice: async () => {
      throw new Error('no device to measure')
    },
    runChild: async (_args, env) => {
      const found = script.probes?.[env['VK_DRIVER_FILES'] ?? ''] ?? null
      const child: ChildResult = {
        exitCode: 0,
        exitSignal: undefined,
        isTimedOut: false,
        stdout: '',
        stderr: '',
      }
      const isAnswer = found === null || 'info' in found
      return isAnswer ? { ...child, stdout: JSON.stringify(found) } : { ...child, ...found }
    },
    onInterrupt(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    exit: (code) => void exits.push(code),
    interrupt: () => listeners.forEach((listener) => listener()),
  }
}

/** Runs a command line against fakes. */
export async function run(
  argv: readonly string[],
  script: Script = {},
): Promise<{ code: number; out: string; err: string; fake: Fake }> {
  const fake = fakeDeps(script)
  const code = await runCli(argv, fake)
  return { code, out: fake.stdout.text, err: fake.stderr.text, fake }
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
  if (!condition()) throw new Error('waited in vain')
}
