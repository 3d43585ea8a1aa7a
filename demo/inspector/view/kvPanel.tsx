// The KV cache as a map: a cell a block, in the colour of the sequence that holds it, as full as it is.

import type { JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { CacheState } from '../../shared/engine.ts'
import { blockMap, mapColumns } from '../blockMap.ts'
import { cssColour, faded, sequenceColour, type Palette } from '../render/colours.ts'

interface KvPanelProps {
  readonly cache: CacheState | undefined
  /** Id of the sequence that has the first colour. */
  readonly first: number
  readonly palette: Palette
}

/** Width by height of the map. */
const aspect = 3.2
/** CSS pixels. */
const mapWidth = 340

export function KvPanel({ cache, first, palette }: KvPanelProps): JSX.Element {
  return (
    <section class="panel" aria-label="KV cache">
      <h2>
        KV cache{' '}
        {cache !== undefined && (
          <span class="hint">
            {cache.numBlocks - cache.numFree} of {cache.numBlocks} blocks of {cache.blockSize} tokens
          </span>
        )}
      </h2>
      {cache !== undefined && <BlockMap {...{ cache, first, palette }} />}
      {cache !== undefined && <Sequences {...{ cache, first, palette }} />}
    </section>
  )
}

interface MapProps extends KvPanelProps {
  readonly cache: CacheState
}

function BlockMap({ cache, first, palette }: MapProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const columns = mapColumns(cache.numBlocks, aspect)
  const step = mapWidth / columns
  const height = Math.ceil(cache.numBlocks / columns) * step
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context === null || context === undefined) return
    const { width } = context.canvas
    const scale = width / mapWidth
    context.setTransform(scale, 0, 0, scale, 0, 0)
    context.clearRect(0, 0, mapWidth, height)
    const size = step - Math.min(2, step * 0.2)
    const radius = Math.min(3, size / 4)
    blockMap(cache).forEach(({ sequence, fill }, block) => {
      const x = (block % columns) * step
      const y = Math.floor(block / columns) * step
      const colour = sequence === undefined ? undefined : sequenceColour(palette, sequence - first + 1)
      context.fillStyle = cssColour(colour === undefined ? palette.groupLine : faded(colour, 0.28))
      context.beginPath()
      context.roundRect(x, y, size, size, radius)
      context.fill()
      if (colour === undefined || fill === 0) return
      context.fillStyle = cssColour(colour)
      context.beginPath()
      context.roundRect(x, y + size * (1 - fill), size, size * fill, Math.min(radius, (size * fill) / 2))
      context.fill()
    })
  }, [cache, first, palette])
  const used = cache.numBlocks - cache.numFree
  return (
    <canvas
      ref={canvas}
      class="block-map"
      width={mapWidth * 2}
      height={Math.ceil(height * 2)}
      role="img"
      aria-label={`Map of ${cache.numBlocks} blocks, ${used} in use`}
    />
  )
}

function Sequences({ cache, first, palette }: MapProps): JSX.Element {
  if (cache.sequences.length === 0)
    return <p class="hint">All blocks are free. Run something to see them fill.</p>
  return (
    <ul class="sequences" aria-label="Sequences">
      {cache.sequences.map(({ id, status, cachedTokens, promptTokens, blocks }) => (
        <li key={id}>
          <span class="swatch" style={{ background: cssColour(sequenceColour(palette, id - first + 1)) }} />
          <span>
            {status === 'waiting' ? 'waits' : `${cachedTokens} tokens`}
            <span class="hint"> {promptTokens} of the prompt</span>
          </span>
          <span class="hint number">{blocks.length === 0 ? 'no block' : `block ${blocks.join(', ')}`}</span>
        </li>
      ))}
    </ul>
  )
}
