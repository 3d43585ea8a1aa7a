// Kernel configuration + WGSL file → one complete shader. The only place where shader text is put together.
// Directives, each alone on its line: `#import name` (shaders/lib/name.wgsl, once), `#if FLAG` / `#else` / `#endif`.

import { RuntimeFault } from '../core/errors.ts'
import { shaderLib } from './lib.ts'
import { writePrelude } from './prelude.ts'
import type { KernelCapabilities, KernelConfig, KernelProblem, KernelVariant } from './spec.ts'

export interface AssembledShader {
  /** Equal keys mean equal code: the pipeline cache key. */
  readonly code: string
  readonly entryPoint: 'main'
  /** Where each line of `code` came from, for compiler messages. */
  readonly lines: readonly { readonly file: string; readonly line: number }[]
}

/** Puts shaders together, and gives equal ones out as one object: the layers of a model have the same few kernels. */
export class ShaderAssembler {
  readonly #capabilities: KernelCapabilities
  /** By shader file, kernel name and flags. */
  readonly #kernels = new Map<string, ResolvedKernel>()

  constructor(capabilities: KernelCapabilities) {
    this.#capabilities = capabilities
  }

  /** The complete WGSL of a variant for a problem. Throws device/shader for a file that cannot be read. */
  assemble(
    { name, shader }: Pick<KernelVariant, 'name' | 'shader'>,
    config: KernelConfig,
    problem: KernelProblem,
  ): AssembledShader {
    const { flags = {} } = config.constants
    const key = `${name} ${JSON.stringify(flags)}\n${shader}`
    let kernel = this.#kernels.get(key)
    if (kernel === undefined) this.#kernels.set(key, (kernel = resolve(shader, name, flags)))
    const prelude = writePrelude(config, problem, this.#capabilities, kernel.countedRows)
    const start = prelude.join('\n')
    let assembled = kernel.shaders.get(start)
    if (assembled === undefined) {
      assembled = {
        code: [start, ...kernel.lines.map(({ text }) => text)].join('\n'),
        entryPoint: 'main',
        lines: [
          ...prelude.map((_, index) => ({ file: 'prelude', line: index + 1 })),
          ...kernel.lines.map(({ file, line }) => ({ file, line })),
        ],
      }
      kernel.shaders.set(start, assembled)
    }
    return assembled
  }
}

interface SourceLine {
  readonly text: string
  readonly file: string
  readonly line: number
}

/** A shader file with its imports and conditions resolved. */
interface ResolvedKernel {
  readonly lines: readonly SourceLine[]
  /** Tensors whose number of rows it asks for. */
  readonly countedRows: ReadonlySet<string>
  /** By the prelude in front of it. */
  readonly shaders: Map<string, AssembledShader>
}

function resolve(shader: string, name: string, flags: Readonly<Record<string, boolean>>): ResolvedKernel {
  const lines: SourceLine[] = []
  expand(shader, name, flags, new Set(), lines)
  const calls = lines.flatMap(({ text }) => [...text.matchAll(/\b(\w+)_rows\(/g)])
  return { lines, countedRows: new Set(calls.map(([, tensor]) => tensor!)), shaders: new Map() }
}

function expand(
  source: string,
  file: string,
  flags: Readonly<Record<string, boolean>>,
  imported: Set<string>,
  out: SourceLine[],
): void {
  // One entry for each open #if: whether its lines count.
  const open: boolean[] = []
  const fault = (line: number, expected: string, got: string): RuntimeFault =>
    new RuntimeFault('device/shader', {
      where: `${file}:${line}`,
      expected,
      got,
      fix: 'Mend the shader file.',
    })
  source.split('\n').forEach((text, index) => {
    const line = index + 1
    const [directive, name] = text.trim().split(/\s+/)
    const isActive = open.every(Boolean)
    switch (directive) {
      case '#if': {
        const flag = flags[name ?? '']
        if (flag === undefined)
          throw fault(line, `a flag among ${Object.keys(flags).join(', ') || 'none'}`, String(name))
        open.push(flag)
        return
      }
      case '#else':
      case '#endif': {
        const last = open.pop()
        if (last === undefined) throw fault(line, 'an open #if', directive)
        if (directive === '#else') open.push(!last)
        return
      }
      case '#import': {
        if (!isActive || imported.has(name ?? '')) return
        const library = shaderLib[name ?? '']
        if (library === undefined)
          throw fault(line, `one of ${Object.keys(shaderLib).join(', ')}`, String(name))
        imported.add(name ?? '')
        expand(library, `lib/${name}`, flags, imported, out)
        return
      }
      default:
        if (isActive) out.push({ text, file, line })
    }
  })
  if (open.length > 0) throw fault(source.split('\n').length, '#endif', 'the end of the file')
}
