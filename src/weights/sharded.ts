// Opens the weights of a model folder: one safetensors file, or several behind an index.
// Not here: the layout of a file (safetensors.ts) and which tensors a model wants (models/*/weights.ts).
import { RuntimeFault } from '../core/errors.ts'
import { checkElements, storedForm, tensorNamed, type Checkpoint, type TensorInfo } from './checkpoint.ts'
import { openSafetensors } from './safetensors.ts'
import { readJson, type FileStore } from '../core/files.ts'
import { isRecord, shown } from '../core/values.ts'

/** Indices of the largest public checkpoints have about 10 MB. */
const maxIndexBytes = 64 * 1024 * 1024

export interface OpenCheckpointOptions {
  /** File name without `.safetensors`: `model` for transformers, `diffusion_pytorch_model` for diffusers. */
  stem?: string
  signal?: AbortSignal
}

/**
 * Opens `<stem>.safetensors` or else the shards that `<stem>.safetensors.index.json` names; reads headers only.
 * Throws `weights/missing` when neither is there or a shard or tensor is absent, `weights/format` for a bad index.
 */
export async function openCheckpoint(
  store: FileStore,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  const file = `${options.stem ?? 'model'}.safetensors`
  const source = await store.open(file)
  if (source !== undefined) return openSafetensors(source, options.signal)
  const index = await readJson(store, `${file}.index.json`, maxIndexBytes)
  if (index === undefined) {
    throw new RuntimeFault('weights/missing', {
      where: store.name,
      expected: `${file} or ${file}.index.json`,
      got: 'neither',
      fix: 'Point to a folder with safetensors weights; convert .bin or .pth files first.',
    })
  }
  const weightMap = parseWeightMap(`${store.name}/${file}.index.json`, index)
  return joinShards(store.name, weightMap, await openShards(store, weightMap, options.signal))
}

/** Tensor name → shard file name. */
function parseWeightMap(where: string, index: unknown): ReadonlyMap<string, string> {
  const weightMap = isRecord(index) ? index['weight_map'] : undefined
  if (!isRecord(weightMap)) throw indexFault(where, 'a weight_map object', 'none')
  const checked = new Map<string, string>()
  for (const [name, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string' || !isPlainFileName(file)) {
      throw indexFault(where, `${name} in a .safetensors file of the same folder`, shown(file))
    }
    checked.set(name, file)
  }
  if (checked.size === 0) throw indexFault(where, 'at least one tensor', 'an empty weight_map')
  return checked
}

/** An index comes with the weights, so a shard's name must not lead out of their folder. */
function isPlainFileName(file: string): boolean {
  return /^[\w-][\w.-]*\.safetensors$/.test(file)
}

async function openShards(
  store: FileStore,
  weightMap: ReadonlyMap<string, string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Checkpoint>> {
  const shards = new Map<string, Checkpoint>()
  try {
    for (const file of new Set(weightMap.values())) {
      const source = await store.open(file)
      if (source === undefined) {
        throw new RuntimeFault('weights/missing', {
          where: store.name,
          expected: `the shard ${file} that the index names`,
          got: 'no such file',
          fix: 'Fetch the missing shard.',
        })
      }
      shards.set(file, await openSafetensors(source, signal))
    }
  } catch (error) {
    await closeAll(shards)
    throw error
  }
  return shards
}

/** One checkpoint of exactly the tensors that the index lists; others in the shards are ignored. */
async function joinShards(
  name: string,
  weightMap: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, Checkpoint>,
): Promise<Checkpoint> {
  const tensors = new Map<string, TensorInfo>()
  const owner = new Map<string, Checkpoint>()
  let totalBytes = 0
  try {
    for (const [tensor, file] of weightMap) {
      const shard = shards.get(file)!
      owner.set(tensor, shard)
      totalBytes += storedForm(tensorNamed(shard.tensors, tensor, shard.name)).bytes
    }
    for (const shard of shards.values()) {
      for (const [tensor, info] of shard.tensors) if (owner.get(tensor) === shard) tensors.set(tensor, info)
    }
  } catch (error) {
    await closeAll(shards)
    throw error
  }
  return {
    name,
    tensors,
    totalBytes,
    async read(tensor, start, count, signal, into) {
      checkElements(tensorNamed(tensors, tensor, name), start, count)
      return owner.get(tensor)!.read(tensor, start, count, signal, into)
    },
    async verify(signal) {
      for (const shard of shards.values()) await shard.verify?.(signal)
    },
    close: () => closeAll(shards),
  }
}

async function closeAll(shards: ReadonlyMap<string, Checkpoint>): Promise<void> {
  await Promise.all([...shards.values()].map((shard) => shard.close()))
}

function indexFault(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('weights/format', {
    where,
    expected,
    got,
    fix: 'Fetch the index again, or save the model anew with save_pretrained.',
  })
}
