// What the pages use of the library, and the only file that imports it: choosing a model and opening it.
// Next: chat/engine.ts and inspector/engine.ts, which ask it for what they show.

import {
  createEngine,
  type AdapterInfo,
  type CachedModel,
  type Engine,
  type LoadProgress,
} from '../../src/index.ts'
import type { LoadReport } from './progress.ts'

export { CancelledFault, RuntimeFault } from '../../src/index.ts'
export type * from '../../src/index.ts'

export type ModelChoice =
  | { readonly kind: 'embedded' }
  /** A hub id or an address. The token is not kept. */
  | { readonly kind: 'named'; readonly name: string; readonly token?: string | undefined }
  | { readonly kind: 'files'; readonly label: string; readonly files: readonly File[] }

export const embeddedModel = 'tiny-llama'

/** Relative to the page: beside the folder that it is in. */
const embeddedAddress = `../models/${embeddedModel}`

export const labelOf = (choice: ModelChoice): string => {
  switch (choice.kind) {
    case 'embedded':
      return embeddedModel
    case 'named':
      return labelOfName(choice.name)
    case 'files':
      return choice.label
    default:
      return choice satisfies never
  }
}

/** A hub id as it is; of an address the folder or the file. */
function labelOfName(name: string): string {
  if (!name.includes(':')) return name
  // The page of a hub's repository at a revision is called as the repository is.
  const path = name.replace(/[?#].*$/, '').replace(/(\/(tree|resolve)\/[^/]+)?\/*$/, '')
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Answers at the same time: in different conversations, or side by side. */
const maxNumSeqs = 4

export interface LoadOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: LoadReport) => void
  readonly onNotice: (message: string) => void
}

/** What every page shows of its model. */
export interface PageEngine {
  readonly label: string
  readonly adapter: AdapterInfo
  readonly maxSeqLen: number
  /** Bytes on the device. */
  memoryBytes(): number
  /** Models from hubs and servers that this browser keeps. */
  keptModels(): Promise<CachedModel[]>
  deleteKept(model: string): Promise<number>
  dispose(): Promise<void>
}

/** Throws the faults of createEngine. */
export async function openEngine(
  choice: ModelChoice,
  { signal, onProgress, onNotice }: LoadOptions,
): Promise<{ readonly engine: Engine; readonly common: PageEngine }> {
  const engine = await createEngine({
    signal,
    onNotice,
    onProgress: (progress) => onProgress(reportOf(progress)),
    onEvent: ({ numSequences }) =>
      onNotice(`The graphics device was lost and is back${numSequences > 0 ? '; the answer goes on' : ''}.`),
    maxNumSeqs,
    model: sourceOf(choice),
    ...(choice.kind === 'named' && choice.token !== undefined && { token: choice.token }),
  })
  const common: PageEngine = {
    label: labelOf(choice),
    adapter: engine.adapter,
    maxSeqLen: engine.maxSeqLen,
    memoryBytes: () => Object.values(engine.memory()).reduce((sum, bytes) => sum + bytes, 0),
    keptModels: async () => (await engine.cache.list()).filter(({ model }) => model !== embeddedUrl()),
    deleteKept: (model) => engine.cache.delete(model),
    dispose: () => engine.dispose(),
  }
  return { engine, common }
}

function reportOf(progress: LoadProgress): LoadReport {
  if ('loadedBytes' in progress) {
    const { loadedBytes: done, totalBytes: total, ...rest } = progress
    return { ...rest, done, total }
  }
  return progress.phase === 'ready' ? { ...progress, done: 1, total: 1 } : progress
}

const embeddedUrl = (): string => new URL(embeddedAddress, document.baseURI).href

function sourceOf(choice: ModelChoice): string | readonly File[] {
  switch (choice.kind) {
    case 'embedded':
      return embeddedAddress
    case 'named':
      return choice.name
    case 'files':
      return choice.files
    default:
      return choice satisfies never
  }
}
