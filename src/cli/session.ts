// An engine for the time of one command: loaded with a bar, always disposed. And models that are only read.

import type { Engine, Shrunk } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { formatBytes } from '../core/units.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { CommandContext, LoadedModel } from './deps.ts'
import { engineOptions, openModelOptions, type ModelFlags, type SourceFlags } from './options.ts'
import { loadBar } from './progress.ts'
import { writeLine } from './terminal.ts'

export async function withEngine<T>(
  flags: ModelFlags,
  context: CommandContext,
  body: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await loadEngine(flags, context)
  try {
    return await body(engine)
  } finally {
    await engine.dispose()
  }
}

async function loadEngine(
  flags: ModelFlags,
  { createEngine, stderr, signal }: CommandContext,
): Promise<Engine> {
  const bar = loadBar(stderr)
  let engine: Engine
  try {
    engine = await createEngine({
      ...engineOptions(flags),
      signal,
      onProgress: (progress) => bar.update(progress),
      onNotice: (message) => void writeLine(stderr, message),
    })
  } finally {
    bar.stop()
  }
  for (const line of shrunkLines(engine, flags)) await writeLine(stderr, line)
  return engine
}

const shrunkNames: Record<Shrunk['option'], string> = {
  kvCacheTokens: 'tokens in the KV cache',
  maxSeqLen: '--max-seq-len',
  maxNumBatchedTokens: 'tokens a step',
}

/** What was made smaller, a line for each reason. */
function shrunkLines({ shrunk, adapter }: Engine, { maxMemory = 0 }: ModelFlags): string[] {
  const reasons: Record<Shrunk['limit'], string> = {
    maxMemory: `To keep within --max-memory ${formatBytes(maxMemory)}`,
    freeMemory: 'To leave a fifth of the free memory to others',
    binding: `To fit the largest binding of ${adapter.description}`,
  }
  return (['binding', 'freeMemory', 'maxMemory'] as const).flatMap((limit) => {
    const changes = shrunk.filter((change) => change.limit === limit)
    const texts = changes.map(({ option, asked, used }) => `${shrunkNames[option]} ${asked} → ${used}`)
    return texts.length === 0 ? [] : [`${reasons[limit]}: ${texts.join(', ')}`]
  })
}

export async function withModel<T>(
  flags: SourceFlags,
  { openModel, signal, stderr }: CommandContext,
  body: (model: LoadedModel) => Promise<T>,
  onNotice = (message: string): void => void writeLine(stderr, message),
): Promise<T> {
  const loaded = await openModel(flags.model, {
    ...openModelOptions(flags),
    signal,
    onNotice,
  })
  try {
    return await body(loaded)
  } finally {
    await loaded.close()
  }
}

/** Throws text/tokenizer when the model has none. */
export function loadTokenizerOf(flags: SourceFlags, context: CommandContext): Promise<Tokenizer> {
  const tokenizerOf = async ({ name, tokenizer }: LoadedModel): Promise<Tokenizer> => {
    if (tokenizer !== undefined) return tokenizer
    throw new RuntimeFault('text/tokenizer', {
      where: name,
      expected: 'a model with a tokenizer',
      got: 'one without',
      fix: 'Add tokenizer.json to its folder, or use a GGUF file that carries one.',
    })
  }
  // Notices come when the engine opens the model again.
  return withModel(flags, context, tokenizerOf, () => undefined)
}
