// Which fields there are: of requests and of loads. One that nobody reads is refused, with the name that may be meant; of
// OpenAI's fields those that change no answer are ignored, and others refused. Not here: values of our own fields.

import { RuntimeFault } from '../core/errors.ts'
import { isRecord, shown } from '../core/values.ts'
import { nearestName } from '../core/nearest.ts'
import type {
  ChatCompletionRequest,
  CompletionRequest,
  EngineOptions,
  ModelOptions,
  SamplingOptions,
} from './types.ts'

/** Of each the same object, so that the types name every field. */
type Names<T> = Readonly<Record<keyof T, true>>

const samplingFields: Names<SamplingOptions> = {
  temperature: true,
  top_k: true,
  top_p: true,
  min_p: true,
  repetition_penalty: true,
  presence_penalty: true,
  frequency_penalty: true,
  logit_bias: true,
  seed: true,
  max_tokens: true,
  max_completion_tokens: true,
  stop: true,
  signal: true,
}

const requestFields = {
  chat: { ...samplingFields, messages: true, stream: true } satisfies Names<
    ChatCompletionRequest & { stream: boolean }
  >,
  text: { ...samplingFields, prompt: true, stream: true } satisfies Names<
    CompletionRequest & { stream: boolean }
  >,
}

/** They tell a service who asks, how to bill and what to keep. `usage` always comes, whatever `stream_options` say. */
const ignoredFields: ReadonlySet<string> = new Set([
  'metadata',
  'model',
  'parallel_tool_calls',
  'prediction',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
  'stream_options',
  'user',
])

interface Unsupported {
  /** What leaves the answer as it is, for errors. */
  readonly harmless: string
  isHarmless(value: unknown): boolean
}

const only = (...values: readonly unknown[]): Unsupported => ({
  harmless: values.map(shown).join(' or '),
  isHarmless: (value) => values.includes(value),
})
const emptyList: Unsupported = {
  harmless: '[]',
  isHarmless: (value) => Array.isArray(value) && value.length === 0,
}
const nothing: Unsupported = { harmless: 'null', isHarmless: () => false }

const unsupportedFields: Readonly<Record<string, Unsupported>> = {
  audio: nothing,
  best_of: only(1),
  echo: only(false),
  function_call: only('none', 'auto'),
  functions: emptyList,
  logprobs: only(false),
  modalities: {
    harmless: '["text"]',
    isHarmless: (value) => Array.isArray(value) && value.every((kind) => kind === 'text'),
  },
  n: only(1),
  reasoning_effort: only('none'),
  response_format: {
    harmless: '{"type":"text"}',
    isHarmless: (value) => isRecord(value) && value['type'] === 'text',
  },
  suffix: only(''),
  // Both say nothing without tools.
  tool_choice: only('none', 'auto'),
  tools: emptyList,
  top_logprobs: only(0),
  verbosity: only('medium'),
  web_search_options: nothing,
}

/** Throws engine/input for a field that nobody reads and for one that asks for what is not supported. */
export function checkRequestFields(kind: 'chat' | 'text', request: object): void {
  const known = Object.keys(requestFields[kind])
  for (const [field, value] of given(request)) {
    if (known.includes(field) || ignoredFields.has(field)) continue
    const unsupported = Object.hasOwn(unsupportedFields, field) ? unsupportedFields[field] : undefined
    if (unsupported === undefined) throw unknownFault(field, 'a field of a request', known)
    if (!unsupported.isHarmless(value)) throw unsupportedFault(field, unsupported.harmless, value)
  }
}

const loadOptions: Names<EngineOptions & ModelOptions> = {
  dtype: true,
  maxSeqLen: true,
  maxNumSeqs: true,
  maxNumBatchedTokens: true,
  maxMemory: true,
  deterministic: true,
  tokensPerReadback: true,
  warmUp: true,
  signal: true,
  onProgress: true,
  onEvent: true,
  onNotice: true,
  revision: true,
  token: true,
  cache: true,
}

/** Of a page or of Node. What the other one has means nothing, but the same options may serve both. */
const platformOptions: readonly string[] = ['model', 'device', 'worker', 'adapter', 'cacheDir']

/** Throws engine/input for an option that nobody reads. */
export function checkOptionNames(options: object): void {
  const known = [...Object.keys(loadOptions), ...platformOptions]
  for (const [option] of given(options)) {
    if (!known.includes(option)) throw unknownFault(option, 'an option of createEngine', known)
  }
}

/** Null is as left out. */
function given(fields: object): [string, unknown][] {
  return Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
}

function unsupportedFault(field: string, harmless: string, value: unknown): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where: field,
    expected: harmless,
    got: shown(value),
    fix: `Leave ${field} out: it is not supported.`,
  })
}

function unknownFault(name: string, expected: string, known: readonly string[]): RuntimeFault {
  const near = nearestName(name, known)
  return new RuntimeFault('engine/input', {
    where: name,
    expected,
    got: 'an unknown one',
    fix: near === undefined ? `Leave ${name} out.` : `Write ${near}, or leave ${name} out.`,
  })
}
