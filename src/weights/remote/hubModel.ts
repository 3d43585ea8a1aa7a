// Which files of a hub repository are the model: `owner/name` is its folder or its only GGUF file,
// `owner/name/file.gguf` one of several. Not here: addresses (hubAddress.ts).
import { RuntimeFault } from '../../core/errors.ts'

export interface HubModelId {
  /** `owner/name`. */
  readonly id: string
  /** A GGUF file of the repository. */
  readonly file: string | undefined
  /** Undefined where the text names none. */
  readonly revision: string | undefined
}

/** Whether a text has the form of `owner/name`. */
export function isRepositoryId(text: string): boolean {
  return /^\w[\w.-]*\/\w[\w.-]*$/.test(text) && !/\.gguf$/i.test(text)
}

const modelId =
  /^(?<id>[^/@]+\/[^/@]+)(?:@(?<revision>refs\/[^/]+\/[^/]+|[^/]+|.+))?(?:\/(?<file>.+\.gguf))?$/i

/**
 * What `owner/name`, `owner/name@revision`, `owner/name/file.gguf` or `owner/name@revision/file.gguf` means. Undefined
 * unless the text has the form of an id; it may be a path all the same.
 */
export function parseHubModelId(text: string): HubModelId | undefined {
  const { id = '', revision, file } = modelId.exec(text)?.groups ?? {}
  return isRepositoryId(id) ? { id, file, revision } : undefined
}

/**
 * The GGUF file that is meant, or undefined for the folder: safetensors are preferred where there are both.
 * Throws `weights/missing` where neither is there or it is not clear which file is meant.
 */
export function ggufFileOf(
  { id, files }: { readonly id: string; readonly files: ReadonlyMap<string, unknown> },
  file: string | undefined,
): string | undefined {
  const ggufFiles = [...files.keys()].filter((path) => path.endsWith('.gguf')).sort()
  if (file !== undefined) {
    if (files.has(file)) return file
    throw choiceFault(id, `the file ${file}`, ggufFiles)
  }
  if (files.has('model.safetensors') || files.has('model.safetensors.index.json')) return undefined
  if (ggufFiles.length === 1) return ggufFiles[0]
  throw choiceFault(id, 'model.safetensors or one .gguf file', ggufFiles)
}

/** Names listed in an error, at most. */
const maxListed = 30

function choiceFault(id: string, expected: string, ggufFiles: readonly string[]): RuntimeFault {
  if (ggufFiles.length === 0) {
    return new RuntimeFault('weights/missing', {
      where: id,
      expected,
      got: 'neither safetensors nor GGUF',
      fix: 'Choose a repository with safetensors; convert .bin or .pth files first.',
    })
  }
  const more = ggufFiles.length > maxListed ? `, and ${ggufFiles.length - maxListed} more` : ''
  return new RuntimeFault('weights/missing', {
    where: id,
    expected,
    got: `the files ${ggufFiles.slice(0, maxListed).join(', ')}${more}`,
    fix: `Name one of them, such as ${id}/${ggufFiles[0]}.`,
  })
}
