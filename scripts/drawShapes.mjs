// Draws pictures of shapes with their captions, the distribution of src/quantize/shapes.json. The drawing itself is
// src/quantize/drawShapes.ts; Vite runs the TypeScript, so nothing has to be built. `--help` tells the options.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { runnerImport } from 'vite'

const HELP = `Draws pictures of shapes as PPM files, and captions.jsonl beside them.

  --out <folder>   where to write (default shapes)
  --count <n>      how many (default 16)
  --first <n>      number of the first scene (default 0)
  --seed <n>       (default 1)
  --side <pixels>  (default 64)
`

/** A PPM file (P6) of an RGBA picture. */
function ppm({ width, height, data }) {
  const rgb = data.filter((_, at) => at % 4 !== 3)
  return Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), rgb])
}

function wholeNumber(values, name, least) {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(
    `[draw/options] --${name}: expected a whole number from ${least}, got ${values[name]}. Correct it.`,
  )
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'shapes' },
      count: { type: 'string', default: '16' },
      first: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      side: { type: 'string', default: '64' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const [count, first, seed] = ['count', 'first', 'seed'].map((name) => wholeNumber(values, name, 0))
  const side = wholeNumber(values, 'side', 8)
  const load = async (file) =>
    (await runnerImport(path.resolve(import.meta.dirname, '../src/quantize', file), { logLevel: 'error' }))
      .module
  const { exampleOf } = await load('scene.ts')
  const { drawShapes } = await load('drawShapes.ts')
  await mkdir(values.out, { recursive: true })
  const lines = []
  for (let index = first; index < first + count; index++) {
    const example = exampleOf(seed, index)
    const file = `${String(index).padStart(6, '0')}.ppm`
    await writeFile(path.join(values.out, file), ppm(drawShapes(example.scene, side)))
    lines.push(`${JSON.stringify({ file, ...example })}\n`)
  }
  await writeFile(path.join(values.out, 'captions.jsonl'), lines.join(''))
  console.log(`${count} pictures in ${values.out}`)
}

try {
  await main()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
