// A hub on this machine with one repository, a tiny Llama, for tests of whole loads.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fixturesDir } from '../../helpers/dirs.ts'
import { TestServer } from '../weights/remote/testServer.ts'

const folder = `${fixturesDir}/golden/llama/gqa`
const commit = 'a'.repeat(40)

export const hubId = 'owner/gqa'
export const weightsPath: string = `/${hubId}/resolve/${commit}/model.safetensors`

/** It tells the hash of every file. */
export async function startHub(): Promise<TestServer> {
  const files = ['config.json', 'model.safetensors'].map(
    (name) => [name, readFileSync(`${folder}/${name}`)] as const,
  )
  const server = await TestServer.start(
    Object.fromEntries(files.map(([name, bytes]) => [`${hubId}/resolve/${commit}/${name}`, bytes])),
  )
  const siblings = files.map(([rfilename, bytes]) => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return { rfilename, size: bytes.length, blobId: sha256, lfs: { sha256 } }
  })
  server.put(`api/models/${hubId}/revision/main?blobs=true`, JSON.stringify({ sha: commit, siblings }))
  return server
}
