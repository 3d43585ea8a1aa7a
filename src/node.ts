// The library in Node: the public API over Dawn or the reference device, with models from directories.

import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createEngineOn, openGgufModel, openModelStore, type LoadedModel } from './api/model.ts'
import type { Engine, EngineOptions } from './api/types.ts'
import { RuntimeFault, type FaultCode } from './core/errors.ts'
import { openDawnDevice } from './device/dawn/dawn.ts'
import { createReferenceDevice } from './device/reference/reference.ts'
import { directoryStore } from './node/directoryStore.ts'

export type * from './api/types.ts'
export type { LoadedModel } from './api/model.ts'
export { RuntimeFault, type FaultCode }

export interface NodeEngineOptions extends EngineOptions {
  /** A directory, a .gguf file, or the name of an embedded model such as `tiny-llama`. */
  model: string
  /** `reference` computes in f64 on the CPU: exact and slow. Default webgpu. */
  device?: 'webgpu' | 'reference'
  /** Part of an adapter's name; default: what Dawn prefers. */
  adapter?: string
}

/** Opens a model's configuration, weights and tokenizer, without a device. */
export async function openModel(model: string): Promise<LoadedModel> {
  if (model.endsWith('.gguf')) {
    const source = await directoryStore(dirname(model)).open(basename(model))
    if (source !== undefined) return openGgufModel(source)
    throw new RuntimeFault('weights/missing', {
      where: model,
      expected: 'a GGUF file',
      got: 'no such file',
      fix: 'Check the path.',
    })
  }
  // Not `new URL(…, import.meta.url)`: bundlers take that for an asset.
  const embedded = join(dirname(fileURLToPath(import.meta.url)), '../public/models', model)
  const isName = /^[\w.-]+$/.test(model) && !existsSync(model)
  return openModelStore(directoryStore(isName && existsSync(embedded) ? embedded : model))
}

/** Loads a model. Throws weights/*, model/*, device/* faults; on failure nothing stays allocated. */
export async function createEngine(options: NodeEngineOptions): Promise<Engine> {
  const model = await openModel(options.model)
  try {
    const device =
      options.device === 'reference'
        ? createReferenceDevice()
        : await openDawnDevice({ adapter: options.adapter })
    return await createEngineOn(device, model, options)
  } finally {
    await model.close()
  }
}
