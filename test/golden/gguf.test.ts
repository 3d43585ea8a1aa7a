// A whole model from one GGUF file: the f16 twin of the `gqa` golden, as llama.cpp's converter lays it out.

import { describe, expect, test } from 'vitest'
import { createEngineOn } from '../../src/api/model.ts'
import type { Engine } from '../../src/api/types.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { openModel } from '../../src/node.ts'
import { expectClose } from '../helpers/close.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { flatten, readGolden } from '../helpers/golden.ts'

async function load(device: 'reference' | 'webgpu'): Promise<Engine> {
  const model = await openModel(`${fixturesDir}/golden/gguf/gqa.gguf`)
  const target = device === 'reference' ? createReferenceDevice() : await openDawnDevice()
  const engine = await createEngineOn(target, model, {
    dtype: 'f16',
    maxSeqLen: 64,
    maxNumSeqs: 2,
    maxNumBatchedTokens: 16,
  })
  await model.close()
  return engine
}

describe.each(['reference', 'webgpu'] as const)('on %s', (device) => {
  test('logits are those of the checkpoint that it was converted from', async () => {
    const golden = await readGolden('gqa')
    await using engine = await load(device)
    for (const { name, tokens } of golden.prompts) {
      const { logits } = await engine.logits(tokens)
      // Its weights are rounded to f16, so even the f64 reference is only this close.
      expectClose(flatten(logits), await golden.array(`${name}.logits.f32`), 5e-3, name)
    }
  })
})

test('a file that is not there is a weights/missing fault', async () => {
  await expect(openModel('nowhere.gguf')).rejects.toMatchObject({ code: 'weights/missing' })
})
