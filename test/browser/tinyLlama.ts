// The embedded model for tests in a page, as files that were picked and as what its greedy answer is.

import { memoryStore, type FileStore } from '../../src/index.ts'
import configUrl from '../../public/models/tiny-llama/config.json?url'
import generationUrl from '../../public/models/tiny-llama/generation_config.json?url'
import weightsUrl from '../../public/models/tiny-llama/model.safetensors?url'
import tokenizerConfigUrl from '../../public/models/tiny-llama/tokenizer_config.json?url'
import tokenizerUrl from '../../public/models/tiny-llama/tokenizer.json?url'

const urls = {
  'config.json': configUrl,
  'generation_config.json': generationUrl,
  'model.safetensors': weightsUrl,
  'tokenizer_config.json': tokenizerConfigUrl,
  'tokenizer.json': tokenizerUrl,
}

async function fetchFiles(): Promise<(readonly [string, Uint8Array<ArrayBuffer>])[]> {
  const fetching = Object.entries(urls).map(async ([name, url]) => {
    const response = await fetch(url)
    return [name, new Uint8Array(await response.arrayBuffer())] as const
  })
  return Promise.all(fetching)
}

/** With `files` in place of its own or beside them. */
export async function tinyLlamaStore(files: Readonly<Record<string, string>> = {}): Promise<FileStore> {
  return memoryStore('tiny-llama', { ...Object.fromEntries(await fetchFiles()), ...files })
}

export async function tinyLlamaFiles(): Promise<File[]> {
  return (await fetchFiles()).map(([name, bytes]) => new File([bytes], name, { lastModified: 1 }))
}
