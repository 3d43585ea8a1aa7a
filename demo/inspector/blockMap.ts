// Who holds which block of the KV cache → cells of a map. Pure; drawing is in view/kvPanel.tsx.

import type { CacheState } from '../shared/engine.ts'

export interface Cell {
  /** Of the sequence that holds the block; undefined where it is free. */
  readonly sequence: number | undefined
  /** Share of the block that holds tokens. */
  readonly fill: number
}

/** By block id. */
export function blockMap({ numBlocks, blockSize, sequences }: CacheState): Cell[] {
  const cells = Array.from({ length: numBlocks }, (): Cell => ({ sequence: undefined, fill: 0 }))
  for (const { id, blocks, cachedTokens } of sequences) {
    blocks.forEach((block, index) => {
      const tokens = Math.min(blockSize, Math.max(0, cachedTokens - index * blockSize))
      cells[block] = { sequence: id, fill: tokens / blockSize }
    })
  }
  return cells
}

/** Columns of a map that is about `aspect` times as wide as high; its last row is full if that can be. */
export function mapColumns(numBlocks: number, aspect: number): number {
  const most = Math.min(numBlocks, Math.ceil(Math.sqrt(numBlocks * aspect)))
  for (let columns = most; columns > most / 2; columns--) if (numBlocks % columns === 0) return columns
  return most
}
