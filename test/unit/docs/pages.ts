// The pages of the documentation, and their samples as programs: one of a page's blocks marked `ts`, which are for
// browsers or not to be run, and one of those marked `ts node`. Everything else is a blank line, so that lines agree.

import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format } from 'node:util'
import ts from 'typescript'
import { vi } from 'vitest'

export const root: string = fileURLToPath(new URL('../../..', import.meta.url))

export interface Page {
  /** Relative to the root. */
  readonly path: string
  readonly text: string
}

export async function readPages(): Promise<Page[]> {
  const names = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md'))
  const paths = ['README.md', ...names.map((name) => `docs/${name}`)]
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })))
}

/** The blocks with this mark; undefined where there are none. */
export function programOf({ text }: Page, mark: 'ts' | 'ts node'): string | undefined {
  let fence: string | undefined
  let numBlocks = 0
  const lines = text.split('\n').map((line) => {
    const found = /^```(.*)$/.exec(line)?.[1]
    if (found === undefined) return fence === mark ? line : ''
    fence = fence === undefined ? found : undefined
    if (fence === mark) numBlocks++
    return ''
  })
  return numBlocks === 0 ? undefined : lines.join('\n')
}

const entries = {
  tabhopper: 'src/index.ts',
  'tabhopper/node': 'src/node.ts',
  'tabhopper/worker': 'src/worker.ts',
  'tabhopper/ai-sdk': 'src/adapters/aiSdk.ts',
  'tabhopper/prompt-api': 'src/adapters/promptApi.ts',
  'tabhopper/progress': 'src/adapters/progress.ts',
}

/** What the compiler says of programs under the project's own strictness, as `path:line: message`. */
export function typeErrors(programs: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root)
  options.paths = Object.fromEntries(
    Object.entries(entries).map(([name, path]) => [name, [join(root, path)]]),
  )
  // A sample may name what the reader is to use.
  Object.assign(options, { noUnusedLocals: false, isolatedDeclarations: false, declaration: false })
  options.moduleDetection = ts.ModuleDetectionKind.Force
  const texts = new Map([...programs].map(([path, text]) => [join(root, path), text]))
  const host = ts.createCompilerHost(options)
  host.fileExists = (path) => texts.has(path) || ts.sys.fileExists(path)
  host.readFile = (path) => texts.get(path) ?? ts.sys.readFile(path)
  const program = ts.createProgram([...texts.keys(), join(root, 'src/vite.d.ts')], options, host)
  return [...texts.keys()].flatMap((path) => {
    const file = program.getSourceFile(path)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ start = 0, messageText }) => {
        const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1
        return `${path.slice(root.length)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
      },
    )
  })
}

/** Runs a Node program over the sources, on the reference device, and returns the lines that it logs. */
export async function logOf(program: string): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), 'tabhopper-docs-'))
  const lines: string[] = []
  const mocks = [
    vi.spyOn(console, 'log').mockImplementation((...values) => void lines.push(format(...values))),
    vi.spyOn(process.stdout, 'write').mockReturnValue(true),
  ]
  vi.stubEnv('TABHOPPER_CACHE', join(dir, 'cache'))
  try {
    const library = JSON.stringify(join(root, 'test/unit/docs/nodeOnReference.ts'))
    await writeFile(join(dir, 'sample.ts'), program.replaceAll(`'tabhopper/node'`, library))
    await import(join(dir, 'sample.ts'))
  } finally {
    vi.unstubAllEnvs()
    for (const mock of mocks) mock.mockRestore()
    await rm(dir, { recursive: true })
  }
  return lines
}

/** What a program's comments behind `console.log(…)` say that it logs, in the order of the text. */
export function expectedLog(program: string): string[] {
  return [...program.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map((match) => match[1] ?? '')
}
