// The element types of GGUF: how many elements share a block of how many bytes, and how a block becomes numbers.
// Not here: the arithmetic (dequantize.ts).
import { RuntimeFault } from '../../core/errors.ts'
import {
  dequantizeQ4K,
  dequantizeQ4Offset,
  dequantizeQ4Signed,
  dequantizeQ5K,
  dequantizeQ5Offset,
  dequantizeQ5Signed,
  dequantizeQ6K,
  dequantizeQ8,
  type Dequantize,
} from './dequantize.ts'

/** Types whose bytes are the elements, and types that `dequantize` expands to f32. */
export type BlockType = {
  readonly name: string
  readonly blockElements: number
  readonly blockBytes: number
} & (
  | { readonly dtype: 'f32' | 'f16' | 'bf16'; readonly dequantize: undefined }
  | { readonly dtype: 'f32'; readonly dequantize: Dequantize }
)

function plain(name: string, dtype: 'f32' | 'f16' | 'bf16', blockBytes: number): BlockType {
  return { name, dtype, blockElements: 1, blockBytes, dequantize: undefined }
}

function quantised(
  name: string,
  blockElements: number,
  blockBytes: number,
  dequantize: Dequantize,
): BlockType {
  return { name, dtype: 'f32', blockElements, blockBytes, dequantize }
}

/** By the number that a file uses. */
const blockTypes: ReadonlyMap<number, BlockType> = new Map([
  [0, plain('F32', 'f32', 4)],
  [1, plain('F16', 'f16', 2)],
  [2, quantised('Q4_0', 32, 18, dequantizeQ4Signed)],
  [3, quantised('Q4_1', 32, 20, dequantizeQ4Offset)],
  [6, quantised('Q5_0', 32, 22, dequantizeQ5Signed)],
  [7, quantised('Q5_1', 32, 24, dequantizeQ5Offset)],
  [8, quantised('Q8_0', 32, 34, dequantizeQ8)],
  [12, quantised('Q4_K', 256, 144, dequantizeQ4K)],
  [13, quantised('Q5_K', 256, 176, dequantizeQ5K)],
  [14, quantised('Q6_K', 256, 210, dequantizeQ6K)],
  [30, plain('BF16', 'bf16', 2)],
])

/** Names of types that we only report. */
const otherTypes: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
])

/** Throws `weights/dtype` for a type that we cannot read. */
export function blockTypeOf(where: string, id: number): BlockType {
  const type = blockTypes.get(id)
  if (type !== undefined) return type
  throw new RuntimeFault('weights/dtype', {
    where,
    expected: `one of ${[...blockTypes.values()].map(({ name }) => name).join(', ')}`,
    got: otherTypes.get(id) ?? `type ${id}`,
    fix: 'Use a file of another quantisation of the model, for example Q4_K_M or Q8_0.',
  })
}
