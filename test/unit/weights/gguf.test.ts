// GGUF files by llama.cpp's own Python package (test/golden/make/gguf_goldens.py) against what that package, or the
// checkpoint they were converted from, says their tensors are. Hostile files: test/property/gguf.test.ts.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { bytesOf, f16Bits, f16Value } from '../../../src/core/dtype.ts'
import { checkTensors } from '../../../src/engine/loadWeights.ts'
import { memorySource, type ByteSource } from '../../../src/core/files.ts'
import { storedForm, type Checkpoint } from '../../../src/weights/checkpoint.ts'
import { decodeF32 } from '../../../src/weights/decode.ts'
import { openGguf } from '../../../src/weights/gguf/gguf.ts'
import { nameInFile } from '../../../src/weights/gguf/names.ts'
import { openSafetensors } from '../../../src/weights/safetensors.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const goldenDir = `${fixturesDir}/golden`

function sourceOf(name: string): ByteSource {
  // A copy: slices of a Buffer are views, which decoding must not get.
  return memorySource(name, Uint8Array.from(readFileSync(`${goldenDir}/${name}`)))
}

function numElements(checkpoint: Checkpoint, name: string): number {
  return checkpoint.tensors.get(name)!.shape.reduce((product, dim) => product * dim, 1)
}

async function valuesOf(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const bytes = await checkpoint.read(name, 0, numElements(checkpoint, name))
  return decodeF32(checkpoint.tensors.get(name)!.dtype, bytes)
}

/** A file that fills the reader's buffer, and says so some time later. */
function slowSource(name: string): ByteSource {
  const inner = sourceOf(name)
  return {
    ...inner,
    async read(offset, length, signal, into) {
      const bytes = await inner.read(offset, length, signal)
      if (into === undefined || into.byteLength < length) return bytes
      into.set(bytes)
      await new Promise((resolve) => setTimeout(resolve, 2))
      return into.subarray(0, length)
    },
  }
}

/** Room for any tensor of the fixtures, with something in it. */
const dirty = (): Uint8Array<ArrayBuffer> => new Uint8Array(2 ** 16).fill(0xa5)

/** The bits, so that −0 is not 0 and a mistake in the last place shows. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(Float32Array.from(values).buffer)
}

describe('types', async () => {
  const { checkpoint } = await openGguf(sourceOf('gguf/types.gguf'))
  const expected = await openSafetensors(sourceOf('gguf/types.safetensors'))

  test('are all in the fixture', () => {
    expect([...checkpoint.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort())
    expect(checkpoint.tensors.size).toBe(11)
  })

  test('and their bytes are told as the file has them', () => {
    const stored = [...checkpoint.tensors.values()].map(storedForm)
    const quantised = stored.map(({ type }) => type).filter((type) => type.startsWith('Q'))
    expect(quantised.sort()).toEqual(['Q4_0', 'Q4_1', 'Q4_K', 'Q5_0', 'Q5_1', 'Q5_K', 'Q6_K', 'Q8_0'])
    // Nearly all of the file; the rest is its header and padding.
    expect(checkpoint.totalBytes).toBe(stored.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(checkpoint.totalBytes).toBeLessThan(7264)
    expect(checkpoint.totalBytes).toBeGreaterThan(7264 - 1024)
  })

  test.each([...expected.tensors.keys()])('%s is what the gguf package says, bit by bit', async (name) => {
    const { dtype, shape, bytes } = checkpoint.tensors.get(name)!
    expect(shape).toEqual(expected.tensors.get(name)!.shape)
    expect(dtype).toBe(name === 'F16' ? 'f16' : name === 'BF16' ? 'bf16' : 'f32')
    expect(bytes).toBe(numElements(expected, name) * bytesOf(dtype))
    expect(bitsOf(await valuesOf(checkpoint, name))).toEqual(bitsOf(await valuesOf(expected, name)))
  })

  test.each([...expected.tensors.keys()])('%s: a range is a slice of the whole', async (name) => {
    const count = numElements(checkpoint, name)
    const elementBytes = bytesOf(checkpoint.tensors.get(name)!.dtype)
    const whole = await checkpoint.read(name, 0, count)
    const edges = [0, 1, 15, 31, 32, 33, 63, 64, 95, 96].concat(
      count > 256 ? [255, 256, 257, 511, 512, 513, count - 1, count] : [],
    )
    for (const start of edges) {
      for (const end of edges.filter((edge) => edge >= start)) {
        const expected = whole.subarray(start * elementBytes, end * elementBytes)
        expect(Buffer.compare(await checkpoint.read(name, start, end - start), expected)).toBe(0)
        const part = await checkpoint.read(name, start, end - start, undefined, dirty())
        expect(Buffer.compare(part, expected)).toBe(0)
      }
    }
  })

  test('are read into the given buffer, several at once', async () => {
    const slow = await openGguf(slowSource('gguf/types.gguf'))
    const names = [...checkpoint.tensors.keys()]
    const buffers = names.map(() => dirty().subarray(4))
    const readAll = (): Promise<Uint8Array[]> =>
      Promise.all(
        names.map((name, i) =>
          slow.checkpoint.read(name, 0, numElements(checkpoint, name), undefined, buffers[i]),
        ),
      )
    // Once more with the memory of the first time.
    await readAll()
    const read = await readAll()
    for (const [i, name] of names.entries()) {
      expect(read[i]!.buffer).toBe(buffers[i]!.buffer)
      expect(read[i]!.byteOffset).toBe(4)
      expect(Buffer.compare(read[i]!, await checkpoint.read(name, 0, numElements(checkpoint, name)))).toBe(0)
    }
  })

  test('a range reads only the blocks that cover it', async () => {
    const reads: number[] = []
    const inner = sourceOf('gguf/types.gguf')
    const watched = await openGguf({
      ...inner,
      read(offset, length, signal) {
        reads.push(length)
        return inner.read(offset, length, signal)
      },
    })
    reads.length = 0
    await watched.checkpoint.read('Q4_0', 31, 2)
    await watched.checkpoint.read('Q6_K', 256, 256)
    await watched.checkpoint.read('F16', 3, 1)
    expect(reads).toEqual([36, 210, 2])
  })

  test('elements outside a tensor are refused', async () => {
    await expect(checkpoint.read('Q8_0', 1, 1024)).rejects.toThrow('[weights/shape]')
    await expect(checkpoint.read('none', 0, 1)).rejects.toThrow('[weights/missing]')
  })
})

describe('models', () => {
  // qwen2's rows are as they are; llama's Q and K were permuted by the converter.
  test.each(['llama', 'qwen2'])('%s has the tensors of the checkpoint it came from', async (architecture) => {
    const { checkpoint } = await openGguf(sourceOf(`gguf/${architecture}.gguf`))
    const expected = await openSafetensors(sourceOf('gguf/model.safetensors'))
    const names = [...checkpoint.tensors.keys()].filter((name) => name !== 'rope_freqs.weight')
    expect(names.sort()).toEqual([...expected.tensors.keys()].sort())
    expect(names).toContain('model.layers.0.self_attn.k_proj.bias')
    for (const name of names) {
      expect(checkpoint.tensors.get(name)!.shape).toEqual(expected.tensors.get(name)!.shape)
      expect([name, await valuesOf(checkpoint, name)]).toEqual([name, await valuesOf(expected, name)])
    }
  })

  test.each(['gqa', 'llama', 'qwen2', 'spm', 'bpe'])(
    'the tensors of %s have names that lead back',
    async (file) => {
      const { checkpoint } = await openGguf(sourceOf(`gguf/${file}.gguf`))
      const text = readFileSync(`${goldenDir}/gguf/${file}.gguf`, 'latin1')
      for (const name of checkpoint.tensors.keys()) expect(text).toContain(nameInFile(name))
    },
  )

  test('errors speak of the file, not of a config.json that there is not', async () => {
    const opening = openGguf(sourceOf('gguf/gqa.gguf')).then(({ checkpoint }) =>
      checkTensors(
        [{ kind: 'tensor', name: 'model.layers.1.self_attn.o_proj.bias', shape: [64] }],
        checkpoint,
      ),
    )
    await expect(opening).rejects.toThrow(/gqa\.gguf blk\.1\.attn_output\.bias: .* Fetch the file again/)
  })

  test('the permuted rows differ from the stored ones, so the test above means something', async () => {
    const llama = await openGguf(sourceOf('gguf/llama.gguf'))
    const qwen2 = await openGguf(sourceOf('gguf/qwen2.gguf'))
    const stored = async ({ checkpoint }: typeof llama, name: string): Promise<boolean> => {
      const { inFile } = checkpoint.tensors.get(name) as unknown as {
        inFile: { offset: number; bytes: number }
      }
      const file = readFileSync(`${goldenDir}/${checkpoint.name}`)
      const other = readFileSync(`${goldenDir}/gguf/model.safetensors`)
      return other.includes(file.subarray(inFile.offset, inFile.offset + inFile.bytes))
    }
    expect(await stored(llama, 'model.layers.0.self_attn.q_proj.bias')).toBe(false)
    expect(await stored(qwen2, 'model.layers.0.self_attn.q_proj.bias')).toBe(true)
  })

  test.each(['weight', 'bias'])('any range of a permuted %s is a slice of the whole', async (kind) => {
    const { checkpoint } = await openGguf(sourceOf('gguf/llama.gguf'))
    for (const projection of ['q_proj', 'k_proj']) {
      const name = `model.layers.0.self_attn.${projection}.${kind}`
      const count = numElements(checkpoint, name)
      const whole = await checkpoint.read(name, 0, count)
      const step = kind === 'weight' ? 37 : 1
      for (let start = 0; start <= count; start += step) {
        for (let end = start; end <= count; end += step) {
          const expected = whole.subarray(start * 4, end * 4)
          expect(Buffer.compare(await checkpoint.read(name, start, end - start), expected)).toBe(0)
          const part = await checkpoint.read(name, start, end - start, undefined, dirty())
          expect(Buffer.compare(part, expected)).toBe(0)
        }
      }
    }
  })

  test('permuted rows cost at most twice their bytes', async () => {
    const inner = sourceOf('gguf/gqa.gguf')
    let readBytes = 0
    const { checkpoint } = await openGguf({
      ...inner,
      read(offset, length, signal) {
        readBytes += length
        return inner.read(offset, length, signal)
      },
    })
    const name = 'model.layers.1.self_attn.q_proj.weight'
    const [rows = 0, columns = 0] = checkpoint.tensors.get(name)!.shape
    for (let start = 0; start < rows; start++) {
      for (let end = start + 1; end <= rows; end++) {
        readBytes = 0
        await checkpoint.read(name, start * columns, (end - start) * columns)
        expect(readBytes).toBeLessThanOrEqual(2 * (end - start) * columns * 2)
      }
    }
    readBytes = 0
    await checkpoint.read(name, 0, rows * columns)
    expect(readBytes).toBe(rows * columns * 2)
  })

  test('the gqa golden in f16 is its safetensors rounded', async () => {
    const { checkpoint } = await openGguf(sourceOf('gguf/gqa.gguf'))
    const expected = await openSafetensors(sourceOf('llama/gqa/model.safetensors'))
    expect([...checkpoint.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort())
    for (const { name, dtype } of checkpoint.tensors.values()) {
      const wanted = await valuesOf(expected, name)
      const rounded = dtype === 'f32' ? wanted : wanted.map((value) => f16Value(f16Bits(value)))
      expect([name, await valuesOf(checkpoint, name)]).toEqual([name, rounded])
    }
  })

  test('closing the checkpoint closes the file, and so does a failure', async () => {
    let closed = 0
    const close = async (): Promise<void> => void closed++
    const { checkpoint } = await openGguf({ ...sourceOf('gguf/llama.gguf'), close })
    await checkpoint.close()
    expect(closed).toBe(1)
    await expect(openGguf({ ...memorySource('x', new Uint8Array(100)), close })).rejects.toThrow(
      '[weights/format] x: expected the letters GGUF first',
    )
    expect(closed).toBe(2)
  })

  test('an aborted signal stops opening and reading', async () => {
    const signal = AbortSignal.abort()
    await expect(openGguf(sourceOf('gguf/llama.gguf'), signal)).rejects.toThrow('[engine/cancelled]')
    const { checkpoint } = await openGguf(sourceOf('gguf/llama.gguf'))
    const read = checkpoint.read('model.layers.0.self_attn.q_proj.weight', 0, 64, signal)
    await expect(read).rejects.toThrow('[engine/cancelled]')
  })
})
