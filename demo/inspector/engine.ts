// A model as the inspector sees it: something to look into, and to run while one looks.

import {
  openEngine,
  type BufferOwner,
  type EngineInspector,
  type LoadOptions,
  type ModelChoice,
  type PageEngine,
} from '../shared/engine.ts'

interface GenerateRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly seed: number
  readonly signal: AbortSignal
}

export interface InspectedEngine extends PageEngine {
  readonly inspect: EngineInspector
  /** Bytes on the device by owner. */
  memory(): Readonly<Record<BufferOwner, number>>
  /** Pieces of a text. */
  generate(request: GenerateRequest): AsyncGenerator<string>
}

/** Throws the faults of createEngine. */
export async function loadEngine(choice: ModelChoice, options: LoadOptions): Promise<InspectedEngine> {
  const { engine, common } = await openEngine(choice, options)
  return {
    ...common,
    inspect: engine.inspect,
    memory: () => engine.memory(),
    async *generate({ prompt, maxTokens, seed, signal }) {
      const messages = [{ role: 'user', content: prompt }] as const
      const request = {
        messages,
        max_tokens: maxTokens,
        seed,
        signal,
        temperature: 0.7,
        stream: true,
      } as const
      for await (const { choices } of engine.chat.completions.create(request))
        yield choices[0]?.delta.content ?? ''
    },
  }
}
