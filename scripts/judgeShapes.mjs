// Judges generated pictures against their captions and prints a line of JSON: the share that is right of each thing
// asked for, with 95 % intervals. Eyes and comparison are src/quantize/judge.ts and score.ts; Vite runs the TypeScript.
//
//   node scripts/judgeShapes.mjs <folder>
//
// The folder holds wanted.json, a list of { caption, things: [{ shape, colour, size }], relation, background } with null
// for what a caption leaves open, side.json, a number, and pictures.rgb: side × side × 3 bytes for each of them.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { runnerImport } from 'vite'

const ASPECTS = ['first', 'both', 'relation', 'sizes', 'background', 'exact']

const orOpen = (value) => value ?? undefined

function wantedOf({ things, relation, background }) {
  return {
    things: things.map((thing) => ({ ...thing, size: orOpen(thing.size) })),
    relation: orOpen(relation),
    background: orOpen(background),
  }
}

function pictureAt(rgb, index, side) {
  const bytes = rgb.subarray(index * side * side * 3)
  const data = new Uint8Array(side * side * 4).fill(255)
  for (let at = 0; at < side * side * 3; at++) data[Math.floor(at / 3) * 4 + (at % 3)] = bytes[at]
  return { width: side, height: side, data }
}

async function main([folder]) {
  if (folder === undefined) throw new Error('[judge/usage] folder: expected one, got none. Name it.')
  const load = async (file) =>
    (await runnerImport(path.resolve(import.meta.dirname, '../src/quantize', file), { logLevel: 'error' }))
      .module
  const { judgePicture } = await load('judge.ts')
  const { rateOf, scorePicture } = await load('score.ts')
  const wanted = JSON.parse(await readFile(path.join(folder, 'wanted.json'), 'utf8'))
  const side = JSON.parse(await readFile(path.join(folder, 'side.json'), 'utf8'))
  const rgb = await readFile(path.join(folder, 'pictures.rgb'))
  if (rgb.length !== wanted.length * side * side * 3) {
    const expected = wanted.length * side * side * 3
    throw new Error(
      `[judge/size] pictures.rgb: expected ${expected} bytes, got ${rgb.length}. Write one picture a caption.`,
    )
  }
  const judged = wanted.map((line, index) => {
    const judgement = judgePicture(pictureAt(rgb, index, side))
    return { caption: line.caption, score: scorePicture(judgement, wantedOf(line)), judgement }
  })
  await writeFile(path.join(folder, 'judged.json'), `${JSON.stringify(judged, undefined, 1)}\n`)
  const rates = ASPECTS.map((aspect) => [aspect, rateOf(judged.map(({ score }) => score[aspect]))])
  console.log(JSON.stringify(Object.fromEntries(rates)))
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
