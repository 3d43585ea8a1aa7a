// A model folder → an open model (config, weights, tokenizer), and an open model → an engine. No platform code:
// stores and devices are passed in.

import { RuntimeFault } from '../core/errors.ts'
import type { Device } from '../device/device.ts'
import { LlmEngine, type LlmEngineOptions } from '../engine/llm/llmEngine.ts'
import { blocksFor } from '../engine/load.ts'
import { checkTensors } from '../engine/loadWeights.ts'
import type { ReopenedModel } from '../engine/llm/recovery.ts'
import type { MemoryBudget } from '../engine/fit.ts'
import { unusedNotice, unusedTensors } from '../engine/unusedTensors.ts'
import { readLlmSpec } from '../models/index.ts'
import type { LlmConfig, LlmSpec } from '../models/spec.ts'
import { ggufTokenizerFiles } from '../text/ggufTokenizer.ts'
import { createTokenizer, loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { Checkpoint } from '../weights/checkpoint.ts'
import { ggufConfig } from '../weights/gguf/config.ts'
import { openGguf } from '../weights/gguf/gguf.ts'
import type { ModelCache } from '../weights/remote/modelCache.ts'
import { openCheckpoint } from '../weights/sharded.ts'
import { readJsonObject, type ByteSource, type FileStore } from '../core/files.ts'
import { createEngineFacade } from './engine.ts'
import { checkChoice, checkCount } from './options.ts'
import type { Engine, EngineOptions, ModelOptions } from './types.ts'
import { warmUp } from './warmUp.ts'

/** A model whose headers have been read. */
export interface LoadedModel {
  /** Of the folder, file or repository. */
  readonly name: string
  /** config.json as it is. */
  readonly json: Readonly<Record<string, unknown>>
  /** What the configuration means. */
  readonly config: LlmConfig
  /** @internal What the engine runs. */
  readonly spec: LlmSpec
  /** Tensors by name, read when they are wanted. */
  readonly checkpoint: Checkpoint
  /** Absent where the folder has no tokenizer.json: such a model serves token ids and logits. */
  readonly tokenizer: Tokenizer | undefined
  /** Ends reading. Idempotent. */
  close(): Promise<void>
}

const maxConfigBytes = 2 ** 20

/**
 * A model in a folder, which errors call `where`. Throws weights/missing without config.json or weights, model/* for a
 * configuration that is not supported.
 */
export async function openModelStore(store: FileStore, where: string = store.name): Promise<LoadedModel> {
  const json = await readJsonObject(store, 'config.json', maxConfigBytes)
  if (json === undefined) {
    throw new RuntimeFault('weights/missing', {
      where,
      expected: 'config.json',
      got: 'no such file',
      fix: 'Give a folder in the layout of Hugging Face, or a .gguf file.',
    })
  }
  const spec = readLlmSpec(json)
  const checkpoint = await openCheckpoint(store)
  try {
    checkSizes(spec, checkpoint)
    const tokenizer = await loadTokenizer(store)
    const { config } = spec
    return { name: store.name, json, config, spec, checkpoint, tokenizer, close: () => checkpoint.close() }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}

/** A model in one GGUF file: weights, configuration and tokenizer. Closes the source when it cannot be used. */
export async function openGgufModel(source: ByteSource): Promise<LoadedModel> {
  const gguf = await openGguf(source)
  const { checkpoint } = gguf
  try {
    const json = ggufConfig(gguf)
    const spec = readLlmSpec(json)
    checkSizes(spec, checkpoint)
    const files = ggufTokenizerFiles(source.name, gguf.metadata)
    return {
      name: source.name,
      json,
      config: spec.config,
      spec,
      checkpoint,
      tokenizer: files === undefined ? undefined : createTokenizer(files),
      close: () => checkpoint.close(),
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}

/**
 * Throws weights/missing or weights/shape where a configuration belongs to other weights. Before anything is planned: for
 * sizes that only a hostile file claims, that would take all memory until its missing tensors were noticed.
 */
function checkSizes(spec: LlmSpec, checkpoint: Checkpoint): void {
  checkTensors(spec.telltaleWeights(), checkpoint)
}

/** Longest sequence unless asked for more: long contexts cost memory that few need. */
const modestMaxSeqLen = 4096

/** What a caller asks, with what an entry knows of the machine. */
export interface LoadOptions extends EngineOptions, Pick<ModelOptions, 'onNotice'> {
  /** Bytes that the model may take where `maxMemory` is left out: of the host, whose memory a software adapter computes in. */
  readonly freeMemory?: number | undefined
}

/** Options with every default filled in. Throws engine/input for what cannot be. */
export function engineOptions(config: LlmConfig, options: LoadOptions): LlmEngineOptions {
  const maxSeqLen = checkCount(
    'maxSeqLen',
    options.maxSeqLen ?? Math.min(config.defaultMaxSeqLen, modestMaxSeqLen),
    config.maxSeqLen,
  )
  const maxNumSeqs = checkCount('maxNumSeqs', options.maxNumSeqs ?? 8, 256)
  const maxNumBatchedTokens = checkCount('maxNumBatchedTokens', options.maxNumBatchedTokens ?? 256, 65_535)
  const { onProgress, onEvent } = options
  return {
    dtype: checkChoice('dtype', options.dtype ?? 'f16', ['f16', 'f32']),
    maxSeqLen,
    maxNumSeqs: Math.min(maxNumSeqs, maxNumBatchedTokens),
    maxNumBatchedTokens,
    // Sequences are rarely all at full length; those that do not fit are preempted and recomputed.
    numBlocks: blocksFor(maxSeqLen) * Math.ceil(maxNumSeqs / 2),
    tokensPerReadback: checkCount('tokensPerReadback', options.tokensPerReadback ?? 1, 64),
    deterministic: options.deterministic,
    budget: budgetOf(options),
    onRecovered: onEvent && ((recovered) => onEvent({ type: 'recovered', ...recovered })),
    signal: options.signal,
    onProgress:
      onProgress === undefined
        ? undefined
        : (loadedBytes, totalBytes) => onProgress({ phase: 'upload', loadedBytes, totalBytes }),
    onCompile:
      onProgress === undefined ? undefined : (done, total) => onProgress({ phase: 'compile', done, total }),
  }
}

function budgetOf(options: LoadOptions): MemoryBudget | undefined {
  const { maxMemory, freeMemory, maxSeqLen, maxNumBatchedTokens } = options
  const bytes = maxMemory ?? freeMemory
  if (bytes === undefined) return undefined
  return {
    bytes: checkCount('maxMemory', bytes, Number.MAX_SAFE_INTEGER, 'a whole number of bytes'),
    limit: maxMemory === undefined ? 'freeMemory' : 'maxMemory',
    open: [
      'numBlocks',
      ...(maxSeqLen === undefined ? (['maxSeqLen'] as const) : []),
      ...(maxNumBatchedTokens === undefined ? (['maxNumBatchedTokens'] as const) : []),
    ],
  }
}

export interface OpenedModel {
  readonly device: Device
  readonly model: LoadedModel
}

/** Makes a device and opens the same model again, both for its caller; on failure nothing stays open. */
export type Reopen = (signal: AbortSignal) => Promise<OpenedModel>

/**
 * Loads an open model onto a device, which the engine then owns: it is disposed with the engine, or at once when
 * loading fails. The model can be closed afterwards. `reopen` is for recovery from the loss of the device; without it a
 * loss fails the engine's requests. `cache` is the engine's to show.
 */
export async function createEngineOn(
  device: Device,
  model: LoadedModel,
  options: LoadOptions,
  reopen?: Reopen,
  cache?: ModelCache,
): Promise<Engine> {
  let llm: LlmEngine | undefined
  try {
    const { name, checkpoint, tokenizer } = model
    const { onProgress, onNotice, signal } = options
    const config = JSON.stringify(model.json)
    llm = await LlmEngine.load(device, model.spec, checkpoint, {
      ...engineOptions(model.config, options),
      reopen: reopen && (async (signal) => sameModel(name, config, await reopen(signal))),
    })
    const notice = unusedNotice(unusedTensors(model.spec, llm.plans, checkpoint), checkpoint)
    if (notice !== undefined) onNotice?.(notice)
    if (options.warmUp === true) {
      await warmUp(llm, signal, (done, total) => onProgress?.({ phase: 'warm-up', done, total }))
    }
    onProgress?.({ phase: 'ready' })
    return createEngineFacade({ model: name, llm, tokenizer, ownsDevice: true, cache, onNotice })
  } catch (error) {
    await llm?.dispose()
    // Not the first device where that was lost while warming up.
    const last = llm?.device ?? device
    last.dispose()
    throw error
  }
}

/** Throws file/changed where the source now has another model than it had. */
async function sameModel(
  where: string,
  config: string,
  { device, model }: OpenedModel,
): Promise<ReopenedModel> {
  const close = (): Promise<void> => model.close()
  if (JSON.stringify(model.json) === config) return { device, checkpoint: model.checkpoint, close }
  device.dispose()
  await close()
  throw new RuntimeFault('file/changed', {
    where,
    expected: 'the configuration that the engine was created with',
    got: 'another one',
    fix: 'Create a new engine.',
  })
}
