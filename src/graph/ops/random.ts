// randomNormal: random numbers, made where they are to lie. Models have no such op; benchmarks fill weights with it.

import { f16Bits, f16Value } from '../../core/dtype.ts'
import { philox } from '../../core/philox.ts'
import { expectDType, expectRank, expectShape, floatDTypes, type FloatDType, type OpDef } from '../opDef.ts'

/** Elements of `part`, which says where numbers go and which they are. */
export const partFields = [
  /** First element of `numbers` that is written. */
  'offset',
  /** Elements that are written. */
  'count',
  /** Place of the first one in its sequence of random numbers. */
  'first',
  /** Key of the sequence: equal keys, equal numbers. */
  'seed',
  'stream',
] as const

export interface RandomNormalAttrs {
  /** Of `numbers`; values are rounded to it. */
  readonly dtype: FloatDType
  /** At least the `count` of `part`. */
  readonly maxCount: number
}

/**
 * Normal random numbers into `numbers` [N], elements [offset, offset + count) of `part` [5]; the others stay. With
 * `distribution` [2] of (mean, deviation), element e is mean + deviation · z, z number first + e − offset of the sequence
 * that (seed, stream) stand for: so it depends on its place in that and not on how the sequence is cut up. Eight numbers in
 * turn are four pairs of Box and Muller, one for each word of a Philox block: radius from its high half, angle from its low.
 */
export const randomNormal: OpDef<RandomNormalAttrs> = {
  inputs: ['part', 'distribution', 'numbers'],
  outputs: ['next'],
  nextVersionOf: { next: 'numbers' },
  accuracy: 'transcendental',
  infer({ dtype }, { part, distribution, numbers }, where) {
    expectDType(where, 'part', part!.dtype, ['u32'])
    expectShape(where, 'part', part!.shape, [partFields.length])
    expectDType(where, 'distribution', distribution!.dtype, ['f32'])
    expectShape(where, 'distribution', distribution!.shape, [2])
    expectDType(where, 'numbers', numbers!.dtype, floatDTypes)
    expectDType(where, 'numbers', numbers!.dtype, [dtype])
    expectRank(where, 'numbers', numbers!.shape, 1)
    return { next: numbers! }
  },
  reference({ dtype }, { part, distribution, numbers }) {
    const [offset, count, first, seed, stream] = [...part!.data] as [number, number, number, number, number]
    const [mean, deviation] = [...distribution!.data] as [number, number]
    let block: number | undefined
    let z: readonly number[] = []
    for (let i = 0; i < count; i++) {
      const place = first + i
      if (block !== Math.floor(place / 8)) {
        block = Math.floor(place / 8)
        z = normals(block, [seed, stream])
      }
      const value = mean + deviation * z[place % 8]!
      numbers!.data[offset + i] = dtype === 'f16' ? f16Value(f16Bits(value)) : Math.fround(value)
    }
    return { next: numbers! }
  },
}

/** Numbers [8 · block, 8 · block + 8) of a sequence. */
function normals(block: number, key: readonly [number, number]): number[] {
  const unit = (half: number): number => (half + 0.5) * 2 ** -16
  return philox([block, 0, 0, 0], key).flatMap((word) => {
    const radius = Math.sqrt(-2 * Math.log(unit(word >>> 16)))
    const angle = 2 * Math.PI * unit(word & 0xffff)
    return [radius * Math.cos(angle), radius * Math.sin(angle)]
  })
}
