// Which files of a folder are the model, wherever the folder lies: safetensors with their config.json, or one GGUF file.
// Not here: opening any of them (sharded.ts, gguf/gguf.ts).
import { RuntimeFault } from '../core/errors.ts'
import { readExactly, type ByteSource, type FileStore } from '../core/files.ts'

/** Whether a name says GGUF. A file of another name may be one all the same: see `hasGgufMagic`. */
export function isGgufName(path: string): boolean {
  return /\.gguf$/i.test(path)
}

/** Whether a file begins as GGUF files do, whatever its name. */
export async function hasGgufMagic(source: ByteSource): Promise<boolean> {
  if (source.size < 4) return false
  return String.fromCharCode(...(await readExactly(source, 0, 4))) === 'GGUF'
}

/** Whether a name is of a file that is a model only together with others of its folder. */
export function isPartName(path: string): boolean {
  return /\.(json|safetensors)$/i.test(path)
}

/** Whether a name is of weights. */
export function isWeightsName(path: string): boolean {
  return isGgufName(path) || /\.safetensors$/i.test(path)
}

/** The files among `paths` that count as GGUF: those whose name says so; where there are none, those that begin so. */
export async function ggufFilesAmong(store: FileStore, paths: readonly string[]): Promise<string[]> {
  const named = paths.filter(isGgufName)
  if (named.length > 0 || paths.some(isWeightsName)) return named
  const found: string[] = []
  for (const path of paths) if (!isPartName(path) && (await beginsAsGguf(store, path))) found.push(path)
  return found
}

/** A file that cannot be read is no model, whatever it is. */
async function beginsAsGguf(store: FileStore, path: string): Promise<boolean> {
  const source = await store.open(path).catch(() => undefined)
  try {
    return source !== undefined && (await hasGgufMagic(source))
  } catch {
    return false
  } finally {
    await source?.close?.()
  }
}

/**
 * The GGUF file that is meant, or undefined for the folder as a whole: safetensors are preferred where there are both.
 * `ggufNames` are the GGUF files among `paths`, where more is known of them than their names.
 * Throws `weights/missing` where neither is there or it is not clear which file is meant, `model/unsupported` for pipelines
 * of diffusers.
 */
export function ggufFileOf(
  folder: string,
  paths: readonly string[],
  file?: string,
  ggufNames: readonly string[] = paths.filter(isGgufName),
): string | undefined {
  const ggufFiles = ggufNames.toSorted()
  if (file !== undefined) {
    if (paths.includes(file)) return file
    throw choiceFault(folder, `the file ${file}`, ggufFiles)
  }
  if (paths.includes('model.safetensors') || paths.includes('model.safetensors.index.json')) return undefined
  if (ggufFiles.length === 1) return ggufFiles[0]
  if (ggufFiles.length === 0 && paths.some((path) => /\.safetensors$/i.test(path))) {
    throw new RuntimeFault('weights/missing', {
      where: folder,
      expected: 'model.safetensors or model.safetensors.index.json',
      got: 'safetensors of other names, and no index',
      fix: 'Fetch model.safetensors.index.json as well, or rename the only file.',
    })
  }
  if (ggufFiles.length === 0 && paths.includes('model_index.json')) {
    throw pipelineFault(folder)
  }
  throw choiceFault(folder, 'model.safetensors or one .gguf file', ggufFiles)
}

export function pipelineFault(where: string): RuntimeFault {
  return new RuntimeFault('model/unsupported', {
    where,
    expected: 'a language model',
    got: 'a pipeline of diffusers, which is not supported yet',
    fix: 'Use a checkpoint of a supported architecture.',
  })
}

/** Names listed in an error, at most. */
const maxListed = 30

function choiceFault(folder: string, expected: string, ggufFiles: readonly string[]): RuntimeFault {
  if (ggufFiles.length === 0) {
    return new RuntimeFault('weights/missing', {
      where: folder,
      expected,
      got: 'neither safetensors nor GGUF',
      fix: 'Choose a model with safetensors; convert .bin or .pth files first.',
    })
  }
  const more = ggufFiles.length > maxListed ? `, and ${ggufFiles.length - maxListed} more` : ''
  return new RuntimeFault('weights/missing', {
    where: folder,
    expected,
    got: `the files ${ggufFiles.slice(0, maxListed).join(', ')}${more}`,
    fix: `Name one of them, such as ${folder.replace(/\/+$/, '')}/${ggufFiles[0]}.`,
  })
}
