// Which hub repository is meant: `owner/name` is its folder or its only GGUF file, `owner/name/file.gguf` one of several.
// Not here: addresses (hubAddress.ts), which of its files are the model (../modelFiles.ts).
import { isGgufName } from '../modelFiles.ts'

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
  return /^\w[\w.-]*\/\w[\w.-]*$/.test(text) && !isGgufName(text)
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
