// An engine for the time of one command: loaded with a bar, always disposed. And models that are only read.

import type { Engine } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { CommandContext, LoadedModel } from './deps.ts'
import { engineOptions, type ModelFlags } from './options.ts'
import { loadBar } from './progress.ts'

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
  try {
    return await createEngine({
      ...engineOptions(flags),
      signal,
      onProgress: (progress) => bar.update(progress),
    })
  } finally {
    bar.stop()
  }
}

export async function withModel<T>(
  model: string,
  { openModel }: CommandContext,
  body: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  const loaded = await openModel(model)
  try {
    return await body(loaded)
  } finally {
    await loaded.close()
  }
}

/** Throws text/tokenizer when the model has none. */
export function loadTokenizerOf(model: string, context: CommandContext): Promise<Tokenizer> {
  return withModel(model, context, async ({ name, tokenizer }) => {
    if (tokenizer !== undefined) return tokenizer
    throw new RuntimeFault('text/tokenizer', {
      where: name,
      expected: 'tokenizer.json',
      got: 'none',
      fix: 'Add the tokenizer files of the model to its folder.',
    })
  })
}
