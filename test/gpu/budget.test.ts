// The budget without `maxMemory`: on software adapters what the process may still take, which in a container is less than
// what the machine has free.

import { afterEach, expect, test, vi } from 'vitest'
import { createEngine } from '../../src/node.ts'
import { probeDawnAdapter } from '../../src/device/dawn/dawn.ts'
import { fixturesDir } from '../helpers/dirs.ts'

const isSoftware = (await probeDawnAdapter())?.info.isSoftware === true

afterEach(() => vi.restoreAllMocks())

test.skipIf(!isSoftware)('is a share of the memory available to the process', async () => {
  const options = {
    model: `${fixturesDir}/golden/llama/gqa`,
    maxSeqLen: 64,
    maxNumBatchedTokens: 16,
  } as const
  vi.spyOn(process, 'availableMemory').mockReturnValue(1000)
  await expect(createEngine(options)).rejects.toThrow('expected at most 800 bytes, 80 % of the free memory')
  vi.restoreAllMocks()
  await using engine = await createEngine(options)
  expect(engine.shrunk).toEqual([])
})
