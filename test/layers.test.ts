// Proves the architecture: who may import whom (ranks), no cycles, where platform code and shaders may appear, and
// that files stay short and open with a header. The checker runs on an import table, so it is tested on made-up
// ones first; the real one is read from src/ with a regular expression, type-only imports included.

import { readFileSync, readdirSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** Rank of each folder of src/; a file imports only lower ranks and its own folder. */
const ranks: Readonly<Record<string, number>> = {
  core: 0,
  graph: 1,
  text: 1,
  weights: 1,
  models: 2,
  passes: 2,
  kernels: 3,
  plan: 4,
  device: 5,
  engine: 6,
  api: 7,
  worker: 8,
  adapters: 9,
  bench: 9,
  quantize: 9,
  server: 9,
  browser: 10,
  cli: 10,
  node: 10,
}
const entryRank = 10
const browserEntries = ['src/index.ts', 'src/worker.ts']
const nodeEntries = ['src/node.ts', 'src/cli.ts']

/** Import specifiers by file, as written. Paths start at the repository root. */
type ImportTable = Readonly<Record<string, readonly string[]>>

/** `src/graph/dim.ts` → `graph`; files directly in src/ are their own folder. */
function folderOf(path: string): string {
  return path.split('/')[1]!
}

function rankOf(path: string): number | undefined {
  return [...browserEntries, ...nodeEntries].includes(path) ? entryRank : ranks[folderOf(path)]
}

/** The file that a relative specifier means; undefined for a package. */
function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(from), specifier.replace(/\?.*$/, ''))
}

function mayUseNode(path: string): boolean {
  return nodeEntries.includes(path) || /^src\/(cli|node|device\/dawn)\//.test(path)
}

/** What is wrong with one import, or undefined. */
function judge(path: string, rank: number, specifier: string): string | undefined {
  const target = resolveImport(path, specifier)
  if (target === undefined) {
    if (specifier === 'webgpu' && !path.startsWith('src/device/dawn/')) return 'webgpu is for src/device/dawn'
    return isBuiltin(specifier) && !mayUseNode(path)
      ? 'Node is for node.ts, cli.ts and device/dawn'
      : undefined
  }
  if (target.startsWith('shaders/')) {
    // Roof probes measure the adapter, so they are no kernels of any op.
    if (target.startsWith('shaders/bench/') && path.startsWith('src/bench/')) return undefined
    return path.startsWith('src/kernels/') ? undefined : 'shaders are for src/kernels'
  }
  if (!target.startsWith('src/')) return rank === entryRank ? undefined : 'outside src'
  if (path === 'src/device/device.ts' && target.startsWith('src/device/')) return 'the interface imports none'
  const targetRank = rankOf(target)
  if (targetRank === undefined) return 'unknown folder'
  const isOwn = folderOf(target) === folderOf(path)
  if (!isOwn && targetRank >= rank && rank !== entryRank) return `rank ${targetRank} from rank ${rank}`
  if (!isOwn && /^src\/models\/\w+\//.test(target)) return 'families are behind models/index.ts'
  const isImplementation = target.startsWith('src/device/') && target !== 'src/device/device.ts'
  return isImplementation && !isOwn && rank !== entryRank ? 'only device.ts of src/device' : undefined
}

/** `path → specifier: reason` for each import that breaks a rule. */
function findViolations(table: ImportTable): string[] {
  return Object.entries(table).flatMap(([path, specifiers]) => {
    const rank = rankOf(path)
    if (rank === undefined) return [`${path}: unknown folder`]
    return specifiers.flatMap((specifier) => {
      const reason = judge(path, rank, specifier)
      return reason === undefined ? [] : [`${path} → ${specifier}: ${reason}`]
    })
  })
}

/** The first cycle met, as the files along it; empty if there is none. */
function findCycle(table: ImportTable): string[] {
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (done.has(path)) return []
    done.add(path)
    for (const specifier of table[path] ?? []) {
      const target = resolveImport(path, specifier)
      const cycle = target === undefined ? [] : visit(target, [...trail, path])
      if (cycle.length > 0) return cycle
    }
    return []
  }
  return (
    Object.keys(table)
      .map((path) => visit(path, []))
      .find((cycle) => cycle.length > 0) ?? []
  )
}

/** Every specifier that is imported by a file or by what it imports, each with the file that does. */
function reachableImports(table: ImportTable, start: string): string[] {
  const seen = new Set([start])
  const found: string[] = []
  for (const path of seen) {
    for (const specifier of table[path] ?? []) {
      const target = resolveImport(path, specifier)
      if (target === undefined) found.push(`${path} → ${specifier}`)
      else seen.add(target)
    }
  }
  return found
}

/** Specifiers of `import`, `export … from`, `import()` and type imports. */
function importsOf(source: string): string[] {
  const patterns = [
    /^\s*(?:import|export)\b[^'"`]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"`]([^'"`]+)['"`]/g,
  ]
  return patterns.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1]!))
}

const root = fileURLToPath(new URL('..', import.meta.url))

function listFiles(folder: string, pattern: RegExp): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => pattern.test(path))
    .sort()
}

const text = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
// Ambient declarations belong to the build, not to a layer.
const sources = listFiles('src', /(?<!\.d)\.ts$/)
const shaders = listFiles('shaders', /\.wgsl$/)
const table: ImportTable = Object.fromEntries(sources.map((path) => [path, importsOf(text(path))]))

describe('the checker', () => {
  test('reads every spelling of an import', () => {
    const source = [
      `import { a } from './a.ts'`,
      `import type {\n  B,\n} from "./b.ts"`,
      `export * from './c.ts'`,
      `export type { D } from './d.ts'`,
      `import './e.ts'`,
      `const f = await import('./f.ts')`,
      `type G = import('./g.ts').G`,
      `import h, * as rest from './h.wgsl?raw'`,
      `const none = Array.from('text')`,
    ].join('\n')
    expect(importsOf(source).sort()).toEqual(
      ['a.ts', 'b.ts', 'c.ts', 'd.ts', 'e.ts', 'f.ts', 'g.ts', 'h.wgsl?raw'].map((name) => `./${name}`),
    )
  })

  test.each<[name: string, path: string, good: string, bad: string, reason: string]>([
    ['a higher rank', 'src/graph/a.ts', '../core/b.ts', '../plan/b.ts', 'rank 4 from rank 1'],
    ['an equal rank elsewhere', 'src/graph/a.ts', './ops/b.ts', '../text/b.ts', 'rank 1 from rank 1'],
    ['an entry', 'src/cli.ts', './node.ts', './nowhere/b.ts', 'unknown folder'],
    ['an entry from below', 'src/worker/a.ts', '../api/b.ts', '../index.ts', 'rank 10 from rank 8'],
    [
      'a device implementation',
      'src/engine/a.ts',
      '../device/device.ts',
      '../device/ledger.ts',
      'only device.ts',
    ],
    [
      'an implementation in the API',
      'src/api/a.ts',
      '../device/device.ts',
      '../device/dawn/d.ts',
      'only device.ts',
    ],
    [
      'an implementation in the interface',
      'src/device/device.ts',
      '../plan/b.ts',
      './webgpu/w.ts',
      'the interface',
    ],
    [
      'a model family',
      'src/engine/a.ts',
      '../models/spec.ts',
      '../models/llama/config.ts',
      'families are behind',
    ],
    ['a shader', 'src/kernels/a.ts', '../../shaders/b.wgsl?raw', '../index.ts', 'rank 10 from rank 3'],
    ['a shader elsewhere', 'src/plan/a.ts', '../kernels/b.ts', '../../shaders/b.wgsl?raw', 'shaders are for'],
    ['Dawn', 'src/device/dawn/a.ts', 'webgpu', '../../engine/b.ts', 'rank 6 from rank 5'],
    ['Dawn elsewhere', 'src/device/webgpu/a.ts', '../device.ts', 'webgpu', 'webgpu is for'],
    ['Node', 'src/weights/a.ts', 'fast-png', 'node:fs', 'Node is for'],
    ['Node without its prefix', 'src/index.ts', './api/b.ts', 'fs', 'Node is for'],
    ['a file outside', 'src/plan/a.ts', './b.ts', '../../package.json', 'outside src'],
  ])('rejects %s, and only that', (_name, path, good, bad, reason) => {
    expect(findViolations({ [path]: [good] })).toEqual([])
    expect(findViolations({ [path]: [good, bad] })).toEqual([
      expect.stringContaining(`${path} → ${bad}: ${reason}`),
    ])
  })

  test('rejects a file in a folder without a rank', () => {
    expect(findViolations({ 'src/core/a.ts': [] })).toEqual([])
    expect(findViolations({ 'src/misc/a.ts': [] })).toEqual(['src/misc/a.ts: unknown folder'])
    expect(findViolations({ 'src/loose.ts': [] })).toEqual(['src/loose.ts: unknown folder'])
  })

  test('finds a cycle, and none in a diamond', () => {
    const diamond = { 'src/a.ts': ['./b.ts', './c.ts'], 'src/b.ts': ['./d.ts'], 'src/c.ts': ['./d.ts'] }
    expect(findCycle(diamond)).toEqual([])
    expect(findCycle({ ...diamond, 'src/d.ts': ['./b.ts'] })).toEqual(['src/b.ts', 'src/d.ts', 'src/b.ts'])
    expect(findCycle({ 'src/a.ts': ['./a.ts'] })).toEqual(['src/a.ts', 'src/a.ts'])
  })

  test('follows imports to what an entry reaches', () => {
    const table = { 'src/index.ts': ['./b.ts'], 'src/b.ts': ['node:fs'], 'src/c.ts': ['node:os'] }
    expect(reachableImports(table, 'src/index.ts')).toEqual(['src/b.ts → node:fs'])
  })
})

describe('src', () => {
  test('was read', () => {
    expect(sources.length).toBeGreaterThanOrEqual(30)
    expect(Object.values(table).flat().length).toBeGreaterThan(sources.length)
    expect(shaders.length).toBeGreaterThanOrEqual(10)
  })

  test('imports only what its rank allows', () => {
    expect(findViolations(table)).toEqual([])
  })

  test('has no import cycle', () => {
    expect(findCycle(table)).toEqual([])
  })

  test('keeps Node out of what the browser entries reach', () => {
    const reached = browserEntries
      .filter((path) => sources.includes(path))
      .flatMap((path) => reachableImports(table, path))
    expect(reached.filter((line) => /→ (webgpu|node:.*)$/.test(line))).toEqual([])
  })

  test('imports only files that exist', () => {
    const targets = Object.entries(table).flatMap(([path, specifiers]) =>
      specifiers.flatMap((specifier) => resolveImport(path, specifier) ?? []),
    )
    const known = new Set([...sources, ...shaders, ...listFiles('src', /\.json$/), 'package.json'])
    expect(targets.filter((target) => !known.has(target))).toEqual([])
  })

  test('has no file above 400 lines', () => {
    const lengths = [...sources, ...shaders].map((path) => [path, text(path).split('\n').length - 1] as const)
    expect(lengths.filter(([, length]) => length > 400)).toEqual([])
  })

  test('opens every source and shader with a header of one to six lines', () => {
    const headerLines = (path: string): number =>
      text(path)
        .replace(/^#!.*\n/, '')
        .split('\n')
        .findIndex((line) => !line.startsWith('//'))
    const wrong = [...sources, ...shaders].filter((path) => headerLines(path) < 1 || headerLines(path) > 6)
    expect(wrong).toEqual([])
  })
})
