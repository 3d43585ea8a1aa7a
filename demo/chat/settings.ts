// What the user can set: how answers are sampled, and how the page looks. Defaults suit tiny-llama.

import type { Theme } from '../shared/theme.ts'

export interface Sampling {
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly maxTokens: number
  /** Undefined: another one for each answer. */
  readonly seed: number | undefined
}

export interface Settings {
  readonly theme: Theme
  readonly sampling: Sampling
  /** What is loaded when the page opens: a hub id or an address; undefined is the embedded model. */
  readonly model: string | undefined
  readonly conversationId: string | undefined
}

export const defaultSampling: Sampling = {
  temperature: 0.5,
  topP: 0.95,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 400,
  seed: undefined,
}

export const defaultSettings: Settings = {
  theme: 'system',
  sampling: defaultSampling,
  model: undefined,
  conversationId: undefined,
}

export interface Control {
  readonly key: Exclude<keyof Sampling, 'seed'>
  readonly label: string
  readonly hint: string
  readonly min: number
  readonly max: number
  readonly step: number
}

export const controls: readonly Control[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    hint: '0 always takes the likeliest word; higher is bolder.',
    min: 0,
    max: 2,
    step: 0.05,
  },
  {
    key: 'topP',
    label: 'Top-p',
    hint: 'Draw among the fewest tokens that reach this probability.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'topK',
    label: 'Top-k',
    hint: 'Draw among this many tokens; 0 is all.',
    min: 0,
    max: 200,
    step: 1,
  },
  {
    key: 'minP',
    label: 'Min-p',
    hint: 'Leave out tokens below this share of the likeliest one.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'repetitionPenalty',
    label: 'Repetition penalty',
    hint: 'Above 1, words come again less often.',
    min: 1,
    max: 2,
    step: 0.01,
  },
  {
    key: 'maxTokens',
    label: 'Most tokens',
    hint: 'Where an answer is cut off.',
    min: 16,
    max: 4096,
    step: 16,
  },
]

/** A seed as it is typed: digits, or nothing for a new one each time. Undefined where it is not that. */
export function parseSeed(text: string): { readonly seed: number | undefined } | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return { seed: undefined }
  const seed = Number(trimmed)
  return /^\d+$/.test(trimmed) && Number.isSafeInteger(seed) ? { seed } : undefined
}

/** Short enough to be typed again. */
export const randomSeed = (): number => Math.floor(Math.random() * 1e6)

/** What was kept, with defaults for everything that is missing or out of range. */
export function restoredSettings(value: unknown): Settings {
  if (typeof value !== 'object' || value === null) return defaultSettings
  const { theme, sampling, model, conversationId } = value as Partial<Record<keyof Settings, unknown>>
  return {
    theme: theme === 'light' || theme === 'dark' ? theme : 'system',
    sampling: restoredSampling(sampling),
    model: typeof model === 'string' ? model : undefined,
    conversationId: typeof conversationId === 'string' ? conversationId : undefined,
  }
}

function restoredSampling(value: unknown): Sampling {
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const { seed } = given
  const entries = controls.map(({ key, min, max }) => {
    const number = given[key]
    return [key, typeof number === 'number' && number >= min && number <= max ? number : defaultSampling[key]]
  })
  return {
    ...defaultSampling,
    ...(Object.fromEntries(entries) as Omit<Sampling, 'seed'>),
    seed: typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0 ? seed : undefined,
  }
}
