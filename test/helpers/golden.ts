// Reads the PyTorch goldens of test/fixtures/golden.

import { readFileSync } from 'node:fs'
import { openSafetensors } from '../../src/weights/safetensors.ts'
import { memorySource } from '../../src/core/files.ts'
import { fixturesDir } from './dirs.ts'

export interface GoldenPrompt {
  readonly name: string
  readonly tokens: number[]
  /** The sequence length that the frequencies were computed for, where they depend on it. */
  readonly maxSeqLen?: number
  /** 16 greedy tokens that follow; one where the frequencies leave no room for more. */
  readonly greedy: number[]
}

export interface Golden {
  readonly dir: string
  /** Shortest first. */
  readonly prompts: readonly GoldenPrompt[]
  array(name: string): Promise<Float32Array | Float64Array>
}

export const llamaGoldens: readonly string[] = [
  'mha',
  'gqa',
  'mqa-tied',
  'llama3-biases',
  'head48',
  'head256-linear',
  'yarn',
  'dynamic',
  'qwen2',
  'mistral',
]

export async function readGolden(name: string): Promise<Golden> {
  const dir = `${fixturesDir}/golden/llama/${name}`
  const { prompts } = JSON.parse(readFileSync(`${dir}/golden.json`, 'utf8')) as { prompts: GoldenPrompt[] }
  const file = await openSafetensors(memorySource(name, readFileSync(`${dir}/golden.safetensors`)))
  return {
    dir,
    prompts,
    async array(tensor) {
      const { dtype, shape } = file.tensors.get(tensor)!
      // A copy of its own: Buffer.slice() would be a view into a pool.
      const bytes = Uint8Array.from(
        await file.read(
          tensor,
          0,
          shape.reduce((a, b) => a * b, 1),
        ),
      )
      return dtype === 'f64' ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer)
    },
  }
}

/** Rows of logits as one array. */
export function flatten(rows: readonly (Float32Array | Float64Array)[]): Float64Array {
  return Float64Array.from(rows.flatMap((row) => [...row]))
}
