// A load without the weight cache compares files with the hashes that the hub tells: right ones cost no second download,
// a wrong one ends the load, and nothing stays allocated.

import { expect, test } from 'vitest'
import { createEngineOn } from '../../../src/api/model.ts'
import { openRemoteModel } from '../../../src/api/remoteModel.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import type { TestServer } from '../weights/remote/testServer.ts'
import { hubId, startHub, weightsPath } from './hub.ts'

async function load(device: Device, server: TestServer): Promise<void> {
  const model = await openRemoteModel(hubId, { endpoint: server.url, storage: undefined })
  try {
    const sizes = { dtype: 'f32', maxSeqLen: 64, maxNumBatchedTokens: 16, maxNumSeqs: 2 } as const
    await using _ = await createEngineOn(device, model, sizes)
  } finally {
    await model.close()
  }
}

test('of the right bytes asks for each byte once', async () => {
  await using server = await startHub()
  await load(await openDawnDevice({ backend: 'null' }), server)
  const asked = server.requests
    .filter(({ path }) => path === weightsPath)
    .map(({ range }) => /(\d+)-(\d+)$/.exec(range!)!.slice(1).map(Number) as [number, number])
    .reduce((sum, [first, last]) => sum + last - first + 1, 0)
  expect(asked).toBe(server.files.get(weightsPath)!.bytes.length)
})

test.each(['first', 'last'])('whose %s weight has another bit rejects and leaves nothing', async (which) => {
  await using server = await startHub()
  const { bytes } = server.files.get(weightsPath)!
  // A small number stays one.
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  bytes[which === 'first' ? 8 + headerBytes : bytes.length - 4]! ^= 1
  const device = await openDawnDevice({ backend: 'null' })
  await expect(load(device, server)).rejects.toMatchObject({
    code: 'file/hash',
    message: expect.stringContaining('owner/gqa/model.safetensors'),
  })
  expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
})
