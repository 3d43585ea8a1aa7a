// Which hub repository is meant: `owner/name` is its folder or its only GGUF file, `owner/name/file.gguf` one of several.
// Not here: which of its files are the model (../modelFiles.ts).
import { isGgufName } from '../modelFiles.ts'

export interface HubModelId {
  /** `owner/name`. */
  readonly id: string
  /** A GGUF file of the repository. */
  readonly file: string | undefined
  /** Undefined where the text names none. */
  readonly revision: string | undefined
}

/** Undefined unless the text has the form of an id. It may be a path all the same. */
export function parseHubModelId(text: string): HubModelId | undefined {
  const match = /^(\w[\w.-]*\/\w[\w.-]*)(?:\/(.+\.gguf))?$/i.exec(text)
  if (match === null || isGgufName(match[1]!)) return undefined
  return { id: match[1]!, file: match[2], revision: undefined }
}

/** The repository of whose page this is the address: `<endpoint>/owner/name`, also with `/tree/<revision>`. */
export function parseHubUrl(text: string, endpoint: string): HubModelId | undefined {
  const prefix = `${endpoint.replace(/\/+$/, '')}/`
  if (!text.startsWith(prefix)) return undefined
  const match = /^(\w[\w.-]*\/\w[\w.-]*?)(?:\/tree\/([^/]+))?\/?$/.exec(text.slice(prefix.length))
  return match === null ? undefined : { id: match[1]!, file: undefined, revision: match[2] }
}
