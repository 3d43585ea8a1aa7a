// Flags that several commands share, and the parsers that check their values. A bad value is a cli/usage fault.

import { Option, type Command } from 'commander'
import type { FloatDType, ModelOptions, SamplingOptions } from '../api/types.ts'
import type { CreateEngineOptions, DeviceName } from './deps.ts'
import { usageFault } from './faults.ts'

const defaultModel = 'tiny-llama'

/** What a model is called and how it is fetched. */
export interface SourceFlags {
  readonly model: string
  readonly revision?: string
  readonly token?: string
  /** False after --no-cache. */
  readonly cache?: boolean
}

export interface ModelFlags extends SourceFlags {
  readonly dtype?: FloatDType
  readonly device: DeviceName
  readonly adapter?: string
  readonly maxSeqLen?: number
  readonly maxMemory?: number
}

export interface SamplingFlags {
  readonly maxTokens?: number
  readonly temperature?: number
  readonly seed?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly repetitionPenalty?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  readonly logitBias?: Readonly<Record<string, number>>
}

/** A commander parser of one flag. */
type Parser<T> = (text: string) => T

const shown = (text: string): string => (text === '' ? 'nothing' : text)

export function integer(flag: string, min: number, max: number = Number.MAX_SAFE_INTEGER): Parser<number> {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    const expected =
      max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`
    throw usageFault(flag, expected, shown(text), 'Give such a number.')
  }
}

function nonNegative(flag: string): Parser<number> {
  return (text) => {
    const value = /^\d*\.?\d+$|^\d+\.$/.test(text) ? Number(text) : NaN
    if (Number.isFinite(value)) return value
    throw usageFault(flag, 'a number of at least 0', shown(text), 'Give such a number; 0 is greedy.')
  }
}

/** A number from `min` to `max`. */
function between(flag: string, min: number, max: number): Parser<number> {
  return (text) => {
    const value = /^-?\d*\.?\d+$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    throw usageFault(flag, `a number from ${min} to ${max}`, shown(text), 'Give such a number.')
  }
}

export function choice<T extends string>(flag: string, choices: readonly T[]): Parser<T> {
  return (text) => {
    const found = choices.find((each) => each === text)
    if (found !== undefined) return found
    throw usageFault(flag, choices.join(' or '), shown(text), 'Give one of these.')
  }
}

/** `1,2,3` → token ids. */
export function tokenIds(flag: string): Parser<number[]> {
  return (text) => {
    const parts = text.split(',').map((part) => part.trim())
    const bad = parts.find((part) => !/^\d+$/.test(part) || !Number.isSafeInteger(Number(part)))
    if (bad === undefined) return parts.map(Number)
    throw usageFault(flag, 'token ids such as 1,2,3', shown(bad), 'Separate whole numbers by commas.')
  }
}

/** `15:-100,42:5` → biases by token id. */
function logitBias(flag: string): Parser<Record<string, number>> {
  return (text) => {
    const pairs = text.split(',').map((part) => /^\s*(\d+):(-?\d*\.?\d+)\s*$/.exec(part) ?? [])
    const isRight = ([, id, bias]: readonly string[]): boolean =>
      id !== undefined && Math.abs(Number(bias)) <= 100
    if (!pairs.every(isRight)) {
      const expected = 'ids with biases from -100 to 100, such as 15:-100,42:5'
      throw usageFault(flag, expected, shown(text), 'Give such pairs.')
    }
    const ids = pairs.map(([, id]) => Number(id))
    const twice = ids.find((id, index) => ids.indexOf(id) !== index)
    if (twice !== undefined) throw usageFault(flag, 'each id once', `${twice} twice`, 'Give it one bias.')
    return Object.fromEntries(pairs.map(([, id, bias]) => [id!, Number(bias)]))
  }
}

const units: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** `8GiB`, `512M` or plain bytes; all units are powers of 1024. */
function byteSize(flag: string): (text: string) => number {
  return (text) => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text) ?? []
    const bytes = Math.floor(Number(digits) * (units[unit?.toUpperCase() ?? ''] ?? NaN))
    if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
    throw usageFault(flag, 'a size such as 8GiB', text === '' ? 'nothing' : text, 'Give such a size.')
  }
}

function text(flag: string, what: string): Parser<string> {
  return (value) => {
    if (value !== '') return value
    throw usageFault(flag, what, 'nothing', 'Leave the flag out for the default.')
  }
}

export function modelOption(): Option {
  return new Option(
    '--model <model>',
    'a directory, a GGUF file, a URL, a hub id (owner/name), or the name of an embedded model',
  )
    .default(defaultModel)
    .argParser(text('--model', 'a directory, a URL or a name'))
}

/** How a model is fetched from a hub or a server. */
export function addSourceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--revision <name>', 'branch, tag or commit of a hub repository')
        .argParser(text('--revision', 'a branch, tag or commit'))
        .default(undefined, 'main'),
    )
    .addOption(
      new Option('--token <token>', 'for private and gated repositories')
        .argParser(text('--token', 'a token'))
        .default(undefined, '$HF_TOKEN for hub ids'),
    )
    .option('--no-cache', 'fetch anew and keep nothing on disk')
}

export function dtypeOption(): Option {
  return new Option('--dtype <type>', 'f32 or f16: of weights, activations and KV cache')
    .argParser(choice<FloatDType>('--dtype', ['f32', 'f16']))
    .default(undefined, 'f16; f32 on the reference device')
}

export function maxSeqLenOption(): Option {
  return new Option('--max-seq-len <n>', 'longest prompt and answer together, in tokens, its last one aside')
    .argParser(integer('--max-seq-len', 1))
    .default(undefined, "the model's, at most 4096")
}

export function maxMemoryOption(): Option {
  return new Option('--max-memory <size>', 'what the model may take, such as 8GiB')
    .argParser(byteSize('--max-memory'))
    .default(undefined, '80 % of the free memory on software adapters, else what the device gives')
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON document')
}

export function addModelOptions(command: Command): Command {
  return addSourceOptions(command.addOption(modelOption()))
    .addOption(dtypeOption())
    .addOption(
      new Option('--device <name>', 'webgpu, or reference: f64 on the CPU, exact and slow')
        .argParser(choice<DeviceName>('--device', ['webgpu', 'reference']))
        .default('webgpu'),
    )
    .addOption(
      new Option('--adapter <name>', "part of a WebGPU adapter's name, where there are several").argParser(
        text('--adapter', "part of an adapter's name"),
      ),
    )
    .addOption(maxSeqLenOption())
    .addOption(maxMemoryOption())
}

export function addSamplingOptions(command: Command, temperature: number): Command {
  return command
    .addOption(
      new Option('--max-tokens <n>', 'most tokens to generate')
        .argParser(integer('--max-tokens', 1))
        .default(undefined, 'what the context leaves'),
    )
    .addOption(
      new Option('--temperature <t>', '0 is greedy, more is more varied')
        .argParser(nonNegative('--temperature'))
        .default(temperature),
    )
    .addOption(
      new Option('--seed <n>', 'same seed, same text')
        .argParser(integer('--seed', 0))
        .default(undefined, 'random'),
    )
    .addOption(
      new Option('--top-k <n>', 'draw among the n likeliest tokens').argParser(integer('--top-k', 1)),
    )
    .addOption(
      new Option('--top-p <p>', 'draw among the likeliest tokens that together have probability p').argParser(
        between('--top-p', 0, 1),
      ),
    )
    .addOption(
      new Option('--min-p <p>', 'draw among tokens at least p times as likely as the likeliest').argParser(
        between('--min-p', 0, 1),
      ),
    )
    .addOption(
      new Option('--repetition-penalty <r>', 'above 1: less of what was said before').argParser(
        between('--repetition-penalty', 0.01, 10),
      ),
    )
    .addOption(
      new Option('--presence-penalty <a>', 'above 0: less of any token that the answer has').argParser(
        between('--presence-penalty', -2, 2),
      ),
    )
    .addOption(
      new Option('--frequency-penalty <a>', 'above 0: the less, the more often the answer has it').argParser(
        between('--frequency-penalty', -2, 2),
      ),
    )
    .addOption(
      new Option(
        '--logit-bias <id:bias,…>',
        'added to the logits of tokens: -100 bans one, 100 forces it',
      ).argParser(logitBias('--logit-bias')),
    )
}

/** The reference device computes in f64, so rounding its weights to f16 must be asked for. */
function dtypeOf({ dtype, device }: ModelFlags): FloatDType | undefined {
  return dtype ?? (device === 'reference' ? 'f32' : undefined)
}

export function openModelOptions({ revision, token, cache }: SourceFlags): ModelOptions {
  return {
    ...(revision === undefined ? {} : { revision }),
    ...(token === undefined ? {} : { token }),
    ...(cache === false ? { cache } : {}),
  }
}

export function engineOptions(flags: ModelFlags): CreateEngineOptions {
  const { model, device, adapter, maxSeqLen, maxMemory } = flags
  const dtype = dtypeOf(flags)
  return {
    model,
    device,
    ...openModelOptions(flags),
    ...(dtype === undefined ? {} : { dtype }),
    ...(adapter === undefined ? {} : { adapter }),
    ...(maxSeqLen === undefined ? {} : { maxSeqLen }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
  }
}

/** As the requests of the engine spell them; flags that were not given are left out. */
export function samplingOptions(flags: SamplingFlags): SamplingOptions {
  const options = {
    max_tokens: flags.maxTokens,
    temperature: flags.temperature,
    seed: flags.seed,
    top_k: flags.topK,
    top_p: flags.topP,
    min_p: flags.minP,
    repetition_penalty: flags.repetitionPenalty,
    presence_penalty: flags.presencePenalty,
    frequency_penalty: flags.frequencyPenalty,
    logit_bias: flags.logitBias,
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
