// Checkpoint bytes → f32 numbers, and f32 numbers → f16 bits without silent infinities.
// Hosts are little-endian, as safetensors is, so typed arrays read the bytes as they lie.
// Not here: the codec of a single number (core/dtype.ts) and quantised formats.
import { bytesOf, f16Bits, f16ValueTable, type SourceDType } from '../core/dtype.ts'
import { RuntimeFault } from '../core/errors.ts'

/**
 * The numbers that `bytes` hold. The result may share memory with `bytes` (f32, aligned), else it lies in `into` where
 * that has room for it.
 * Throws `weights/dtype` for integers and bools, `weights/format` when the bytes end inside an element,
 * `weights/range` for a finite f64 that f32 cannot hold.
 */
export function decodeF32(dtype: SourceDType, bytes: Uint8Array, into?: Float32Array): Float32Array {
  const elementBytes = bytesOf(dtype)
  const numElements = bytes.byteLength / elementBytes
  if (!Number.isInteger(numElements)) {
    throw new RuntimeFault('weights/format', {
      where: `${dtype} data`,
      expected: `a multiple of ${elementBytes} bytes`,
      got: `${bytes.byteLength} bytes`,
      fix: 'Read whole elements.',
    })
  }
  // Typed arrays must start at a multiple of their element size; a slice of a file need not.
  // (A Buffer's own slice() would be a view.)
  const aligned = bytes.byteOffset % elementBytes === 0 ? bytes : Uint8Array.from(bytes)
  const { buffer, byteOffset } = aligned
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer, byteOffset, numElements)
    case 'f16':
      return decodeF16(new Uint16Array(buffer, byteOffset, numElements), roomFor(numElements, into))
    case 'bf16':
      return decodeBf16(new Uint16Array(buffer, byteOffset, numElements), roomFor(numElements, into))
    case 'f64':
      return narrowF64(new Float64Array(buffer, byteOffset, numElements))
    case 'i64':
    case 'i32':
    case 'i16':
    case 'i8':
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'bool':
      throw new RuntimeFault('weights/dtype', {
        where: `${dtype} data`,
        expected: 'f64, f32, f16 or bf16 weights',
        got: dtype,
        fix: 'Convert the checkpoint to a floating-point type.',
      })
    default:
      dtype satisfies never
      throw new TypeError(dtype)
  }
}

/**
 * f16 bits of every value, rounded to nearest even, in `into` where that has room for them. `where` names the tensor
 * in errors.
 * Throws `weights/range` for NaN, infinities and magnitudes from 65520 on, which f16 would turn into infinity.
 */
export function encodeF16(values: Float32Array, where: string, into?: Uint16Array): Uint16Array {
  const bits =
    into !== undefined && into.length >= values.length
      ? into.subarray(0, values.length)
      : new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    // Written so that NaN fails it too.
    if (!(Math.abs(value) < 65520)) throw rangeFault(where, i, value, 'f16, finite and below 65520')
    bits[i] = f16Bits(value)
  }
  return bits
}

function roomFor(numElements: number, into: Float32Array | undefined): Float32Array {
  return into !== undefined && into.length >= numElements
    ? into.subarray(0, numElements)
    : new Float32Array(numElements)
}

function decodeF16(bits: Uint16Array, values: Float32Array): Float32Array {
  const table = f16ValueTable()
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!
  return values
}

function decodeBf16(bits: Uint16Array, values: Float32Array): Float32Array {
  // bf16 is the upper half of f32.
  const f32Bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) f32Bits[i] = bits[i]! << 16
  return values
}

function narrowF64(wide: Float64Array): Float32Array {
  const values = new Float32Array(wide)
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]) && Number.isFinite(wide[i])) {
      throw rangeFault('f64 data', i, wide[i]!, 'f32')
    }
  }
  return values
}

function rangeFault(where: string, index: number, value: number, holder: string): RuntimeFault {
  return new RuntimeFault('weights/range', {
    where: `${where}[${index}]`,
    expected: `a number that fits ${holder}`,
    got: String(value),
    fix: 'Load with a wider dtype, for example f32.',
  })
}
