// Spoils drawn pictures as a small decoder does: blur, noise, colours that are a little off.

import type { Picture } from '../../../src/quantize/drawShapes.ts'
import { seededRandom } from '../../helpers/random.ts'

export interface Damage {
  /** Standard deviation of each byte's noise. */
  noise?: number
  /** How often a 3×3 binomial filter is applied. */
  blur?: number
  /** Standard deviation of each channel's offset, the same in all pixels. */
  shift?: number
}

function blurred(data: Float64Array, side: number): Float64Array {
  return data.map((_, at) => {
    const channel = at % 4
    const column = Math.floor(at / 4) % side
    const row = Math.floor(at / 4 / side)
    let sum = 0
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const x = Math.min(side - 1, Math.max(0, column + dx))
        const y = Math.min(side - 1, Math.max(0, row + dy))
        sum += ((2 - Math.abs(dx)) * (2 - Math.abs(dy)) * data[(y * side + x) * 4 + channel]!) / 16
      }
    }
    return sum
  })
}

export function degrade(picture: Picture, { noise = 0, blur = 0, shift = 0 }: Damage, seed: number): Picture {
  const random = seededRandom(seed)
  let data: Float64Array = Float64Array.from(picture.data)
  for (let round = 0; round < blur; round++) data = blurred(data, picture.width)
  const offsets = [0, 1, 2].map(() => shift * random.normal())
  const spoilt = data.map((value, at) =>
    at % 4 === 3 ? value : value + offsets[at % 4]! + noise * random.normal(),
  )
  return { ...picture, data: Uint8ClampedArray.from(spoilt) }
}
