// Bytes on the device by owner, and the largest buffers.

import type { JSX } from 'preact'
import type { BufferOwner, ModelInspection } from '../../shared/engine.ts'
import { formatBytes } from '../../shared/progress.ts'
import { shortName } from '../names.ts'
import { cssColour, type Palette } from '../render/colours.ts'

interface MemoryPanelProps {
  readonly memory: Readonly<Record<BufferOwner, number>> | undefined
  readonly inspection: ModelInspection | undefined
  readonly palette: Palette
}

const names: Readonly<Record<BufferOwner, string>> = {
  weights: 'Weights',
  states: 'KV cache and sampler',
  arena: 'Results inside a step',
  step: 'Inputs of a step',
  readback: 'On the way back',
}

const numLargest = 8

export function MemoryPanel({ memory, inspection, palette }: MemoryPanelProps): JSX.Element {
  const owners = Object.entries(memory ?? {}) as [BufferOwner, number][]
  const total = owners.reduce((sum, [, bytes]) => sum + bytes, 0)
  const largest = (inspection?.buffers ?? []).toSorted((a, b) => b.bytes - a.bytes).slice(0, numLargest)
  const colours = ownerColours(palette)
  return (
    <section class="panel" aria-label="Memory">
      <h2>Memory {memory !== undefined && <span class="hint">{formatBytes(total)} on the device</span>}</h2>
      {total > 0 && (
        <>
          <div class="stack" aria-hidden="true">
            {owners.map(([owner, bytes]) => (
              <span key={owner} style={{ flexGrow: String(bytes), background: colours[owner] }} />
            ))}
          </div>
          <ul class="owners" aria-label="Owners">
            {owners.map(([owner, bytes]) => (
              <li key={owner} data-owner={owner} data-bytes={bytes}>
                <span class="swatch" style={{ background: colours[owner] }} />
                <span>{names[owner]}</span>
                <span class="number">
                  {formatBytes(bytes)} <span class="hint">{Math.round((100 * bytes) / total)} %</span>
                </span>
              </li>
            ))}
          </ul>
          <h3>Largest buffers</h3>
          <ol class="bars" aria-label="Largest buffers">
            {largest.map(({ owner, label, bytes }) => (
              <li key={`${owner} ${label}`}>
                <span class="name" title={label}>
                  {shortName(label)}
                </span>
                <span class="number">{formatBytes(bytes)}</span>
                <span class="track">
                  <span
                    style={{ width: `${(100 * bytes) / largest[0]!.bytes}%`, background: colours[owner] }}
                  />
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  )
}

function ownerColours({ families }: Palette): Readonly<Record<BufferOwner, string>> {
  return {
    weights: cssColour(families.linear),
    states: cssColour(families.rotary),
    arena: cssColour(families.elementwise),
    step: cssColour(families.embedding),
    readback: cssColour(families.attention),
  }
}
