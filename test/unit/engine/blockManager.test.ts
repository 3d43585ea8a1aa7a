// The KV block allocator: conservation, exhaustion exactly at the last block, and misuse that must throw.

import { describe, expect, test } from 'vitest'
import type { BlockId } from '../../../src/core/brand.ts'
import { BlockManager } from '../../../src/engine/llm/blockManager.ts'
import { seededRandom } from '../../helpers/random.ts'

describe('a block manager', () => {
  test('hands out every block once, in the order given', () => {
    const blocks = new BlockManager(4, 16, [2, 0, 3, 1])
    expect([1, 2, 3, 4].map(() => blocks.allocate())).toEqual([2, 0, 3, 1])
    expect(blocks.numFree).toBe(0)
  })

  test('hands out blocks from zero on unless told otherwise', () => {
    const blocks = new BlockManager(3, 16)
    expect([1, 2, 3].map(() => blocks.allocate())).toEqual([0, 1, 2])
  })

  test('is exhausted at exactly its number of blocks', () => {
    const blocks = new BlockManager(3, 16)
    expect([0, 1, 3, 4].map((count) => blocks.canAllocate(count))).toEqual([true, true, true, false])
    blocks.allocate()
    expect([2, 3].map((count) => blocks.canAllocate(count))).toEqual([true, false])
    blocks.allocate()
    blocks.allocate()
    expect([0, 1].map((count) => blocks.canAllocate(count))).toEqual([true, false])
    expect(() => blocks.allocate()).toThrow(/allocate follows canAllocate/)
  })

  test('takes a block back once; a second time throws and changes nothing', () => {
    const blocks = new BlockManager(2, 16)
    const block = blocks.allocate()
    blocks.free(block)
    expect(blocks.numFree).toBe(2)
    expect(() => blocks.free(block)).toThrow(/freed once/)
    expect(blocks.numFree).toBe(2)
  })

  test('takes back no block that it has not handed out', () => {
    const blocks = new BlockManager(2, 16)
    expect(() => blocks.free(1 as BlockId)).toThrow(/freed once/)
    expect(() => blocks.free(2 as BlockId)).toThrow(/freed once/)
    blocks.free(blocks.allocate())
  })

  test('hands out the block that came back last, whose memory is warm', () => {
    const blocks = new BlockManager(3, 16)
    const [a, b] = [blocks.allocate(), blocks.allocate()]
    blocks.free(a)
    blocks.free(b)
    expect([blocks.allocate(), blocks.allocate()]).toEqual([b, a])
  })

  test.each([
    [0, 0],
    [1, 1],
    [15, 1],
    [16, 1],
    [17, 2],
    [32, 2],
    [33, 3],
  ])('needs for %i tokens %i blocks of 16', (numTokens, expected) => {
    expect(new BlockManager(8, 16).blocksFor(numTokens)).toBe(expected)
  })

  test('conserves blocks over ten thousand random calls', () => {
    const random = seededRandom(1)
    const blocks = new BlockManager(13, 16)
    const taken: BlockId[] = []
    for (let i = 0; i < 10_000; i++) {
      if (random.next() < 0.5 && blocks.canAllocate(1)) taken.push(blocks.allocate())
      else if (taken.length > 0) blocks.free(taken.splice(random.integer(taken.length), 1)[0]!)
      expect(blocks.numFree + taken.length).toBe(13)
      expect(new Set(taken).size).toBe(taken.length)
      expect(taken.every((block) => block >= 0 && block < 13)).toBe(true)
    }
  })
})
