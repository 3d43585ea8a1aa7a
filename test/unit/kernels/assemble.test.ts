// Shader assembly: imports, conditions, generated constants and bindings, and where each line came from.

import { describe, expect, test } from 'vitest'
import type { ValueId } from '../../../src/core/brand.ts'
import { affine, ceilDiv, symbol } from '../../../src/graph/dim.ts'
import { ShaderAssembler, type AssembledShader } from '../../../src/kernels/assemble.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import type {
  KernelBinding,
  KernelConfig,
  KernelProblem,
  KernelVariant,
  TensorView,
} from '../../../src/kernels/spec.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'

const config: KernelConfig = {
  bindings: [],
  constants: { flags: { YES: true, NO: false } },
  packWidth: 1,
  workgroupSize: [64, 1, 1],
  grid: [1, 1, 1],
}
const view: TensorView = { dtype: 'f32', shape: [symbol('T'), 8], rowStride: 8, offset: 0 }

function assemble(
  shader: string,
  more: {
    config?: Partial<KernelConfig>
    tensors?: KernelProblem['tensors']
    nativeF16?: boolean
    assembler?: ShaderAssembler
  } = {},
): AssembledShader {
  const variant: KernelVariant = {
    name: 'kernel',
    summary: '',
    shader,
    supports: () => true,
    configure: () => config,
  }
  const op = {
    kind: 'silu',
    inputs: {},
    outputs: { y: 0 as ValueId },
    attrs: { dtype: 'f32' },
    origin: 'x',
  } as const
  const problem: KernelProblem = { op, tensors: more.tensors ?? {}, maxima: { T: 4, S: 1, R: 1 } }
  const capabilities = { ...minimalCapabilities, nativeF16: more.nativeF16 ?? false }
  const assembler = more.assembler ?? new ShaderAssembler(capabilities)
  return assembler.assemble(variant, { ...config, ...more.config }, problem)
}

/** Lines that came from the shader or its imports, without the prelude. */
function body({ code, lines }: AssembledShader): string[] {
  return code.split('\n').filter((_, index) => lines[index]!.file !== 'prelude')
}

describe('#if', () => {
  test.each([
    ['a set flag keeps its lines', '#if YES\na\n#endif\nb', ['a', 'b']],
    ['an unset flag drops its lines', '#if NO\na\n#endif\nb', ['b']],
    ['#else takes the other lines', '#if NO\na\n#else\nb\n#endif', ['b']],
    ['#else drops the other lines', '#if YES\na\n#else\nb\n#endif', ['a']],
    ['both must hold when nested', '#if YES\n#if NO\na\n#else\nb\n#endif\nc\n#endif', ['b', 'c']],
    ['nothing inside a dropped block counts', '#if NO\n#if YES\na\n#else\nb\n#endif\n#endif\nc', ['c']],
    ['directives may be indented', '  #if YES\n  a\n  #endif', ['  a']],
  ])('%s', (_name, shader, expected) => {
    expect(body(assemble(shader))).toEqual(expected)
  })

  test('rejects an unknown flag and names the known ones', () => {
    expect(() => assemble('a\n#if OTHER\n#endif')).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [device/shader] kernel:2: expected a flag among YES, NO, got OTHER. Mend the shader file.]`,
    )
  })

  test.each([
    ['without #endif', '#if YES\na', 'kernel:2: expected #endif, got the end of the file'],
    ['with an #endif too many', '#if YES\n#endif\n#endif', 'kernel:3: expected an open #if, got #endif'],
    ['with a lone #else', 'a\n#else', 'kernel:2: expected an open #if, got #else'],
  ])('rejects a file %s', (_name, shader, message) => {
    expect(() => assemble(shader)).toThrow(`[device/shader] ${message}`)
  })
})

describe('#import', () => {
  const functions = (shader: AssembledShader): number => [...shader.code.matchAll(/^fn philox\(/gm)].length

  test('inserts the library once, however often it is asked for', () => {
    expect(functions(assemble('a'))).toBe(0)
    expect(functions(assemble('#import philox\na'))).toBe(1)
    expect(functions(assemble('#import philox\n#import philox\na'))).toBe(1)
  })

  test('in a dropped block inserts nothing, and leaves it for later', () => {
    expect(functions(assemble('#if NO\n#import philox\n#endif'))).toBe(0)
    expect(functions(assemble('#if NO\n#import philox\n#endif\n#import philox'))).toBe(1)
  })

  test('rejects an unknown library and names the known ones', () => {
    expect(() => assemble('#import sorcery')).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [device/shader] kernel:1: expected one of linear_epilogue, linear_operands, paged_attention, philox, sequences, got sorcery. Mend the shader file.]`,
    )
  })
})

describe('the line map', () => {
  test('points at the file and line of each line of the code', () => {
    const shader = assemble('first\n#import philox\n#if NO\ndropped\n#endif\nlast')
    const text = shader.code.split('\n')
    expect(shader.lines).toHaveLength(text.length)
    const whereIs = (line: string): unknown => shader.lines[text.indexOf(line)]
    expect(whereIs('first')).toEqual({ file: 'kernel', line: 1 })
    expect(whereIs('last')).toEqual({ file: 'kernel', line: 6 })
    expect(whereIs('fn mul_high(a: u32, b: u32) -> u32 {')).toEqual({ file: 'lib/philox', line: 3 })
    expect(shader.lines[0]).toEqual({ file: 'prelude', line: 1 })
    expect(text).not.toContain('dropped')
  })
})

describe('the prelude', () => {
  const bind = (binding: Partial<KernelBinding>): Partial<KernelConfig> => ({
    bindings: [{ tensor: 'x', access: 'read', width: 1, ...binding }],
  })

  test('declares numbers as constants that parse back to the same bits', () => {
    const constants = { u32: { COUNT: 7 }, f32: { EPS: 1e-5, ONE: 1, THIRD: 1 / 3, SMALL: -1.5e-30 } }
    const { code } = assemble('', { config: { constants, workgroupSize: [8, 4, 2], packWidth: 4 } })
    expect(code).toContain('const COUNT: u32 = 7u;')
    expect(code).toContain('const WG_X: u32 = 8u;\nconst WG_Y: u32 = 4u;\nconst WG_Z: u32 = 2u;')
    expect(code).toContain('alias Pack = vec4<f32>;\nconst PACK: u32 = 4u;')
    for (const [name, value] of Object.entries(constants.f32)) {
      const [, text] = new RegExp(`const ${name}: f32 = (.*)f;`).exec(code)!
      expect(text).toMatch(/[.e]/)
      expect(Math.fround(Number(text))).toBe(Math.fround(value))
    }
  })

  test('numbers bindings of group 0 in order, and keeps group 1 for the dims', () => {
    const bindings: KernelBinding[] = [
      { tensor: 'x', access: 'read', width: 4 },
      { tensor: 'y', access: 'read_write', width: 2, as: 'result' },
    ]
    const { code } = assemble('', { config: { bindings }, tensors: { x: view, y: { ...view, offset: 4 } } })
    expect(code).toMatchInlineSnapshot(`
      "alias Pack = f32;
      const PACK: u32 = 1u;
      const WG_X: u32 = 64u;
      const WG_Y: u32 = 1u;
      const WG_Z: u32 = 1u;
      struct Params { T: u32, S: u32, R: u32, zero: u32 }
      @group(1) @binding(0) var<uniform> params: Params;
      fn loop_bound(n: u32) -> u32 { return n + params.zero; }
      @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
      const x_stride: u32 = 2u;
      const x_offset: u32 = 0u;
      fn load_x(i: u32) -> vec4<f32> { return x[i]; }
      @group(0) @binding(1) var<storage, read_write> result: array<vec2<f32>>;
      const result_stride: u32 = 4u;
      const result_offset: u32 = 2u;
      fn load_result(i: u32) -> vec2<f32> { return result[i]; }
      fn store_result(i: u32, value: vec2<f32>) { result[i] = value; }
      "
    `)
  })

  test.each([
    [1, 'array<u32>', 'unpack2x16float(x[i >> 1u])[i & 1u]'],
    [2, 'array<u32>', 'unpack2x16float(x[i])'],
    [4, 'array<vec2<u32>>', 'vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y))'],
  ] as const)('loads %i packed halves from u32 words, all at once', (width, type, load) => {
    const { code } = assemble('', { config: bind({ width }), tensors: { x: { ...view, dtype: 'f16' } } })
    expect(code).toContain(`x: ${type};`)
    expect(code).toContain(load)
    expect(code.split('x[i')).toHaveLength(2)
    expect(code).not.toContain('enable f16')
  })

  test('loads native halves as such, and enables them only when bound', () => {
    const halves = { x: { ...view, dtype: 'f16' } } as const
    const native = assemble('', { config: bind({ width: 4 }), tensors: halves, nativeF16: true }).code
    expect(native).toMatch(/^enable f16;\n/)
    expect(native).toContain('x: array<vec4<f16>>;')
    expect(native).toContain('return vec4<f32>(x[i]);')
    const floats = assemble('', { config: bind({ width: 4 }), tensors: { x: view }, nativeF16: true }).code
    expect(floats).not.toContain('f16')
  })

  test.each([
    [8, 'return 8u;'],
    [symbol('S'), 'return params.S;'],
    [affine(symbol('T'), 2, 1), 'return (params.T * 2u + 1u);'],
    [ceilDiv(symbol('R'), 16), 'return ((params.R + 15u) / 16u);'],
  ])('computes the row count %o as the step says', (rows, text) => {
    const tensors = { x: { ...view, shape: [rows, 8] } }
    const { code } = assemble('let n = x_rows();', { config: bind({}), tensors })
    expect(code).toContain(`fn x_rows() -> u32 { ${text} }`)
  })

  test('tells the rows of those tensors alone that the shader or its imports ask for', () => {
    const bindings: KernelBinding[] = ['x', 'y'].map((tensor) => ({ tensor, access: 'read', width: 1 }))
    const more = { config: { bindings }, tensors: { x: view, y: view } }
    const counted = (shader: string): string[] =>
      [...assemble(shader, more).code.matchAll(/fn (\w+_rows)/g)].map(([, name]) => name!)
    expect(counted('let n = y_rows();')).toEqual(['y_rows'])
    expect(counted('let n = max_rows() + x_rowstride;')).toEqual([])
    expect(counted('#if NO\nlet n = x_rows();\n#endif')).toEqual([])
  })

  const assembleRows = (width: 2 | 4, rowStride: number, offset: number): string =>
    assemble('', { config: bind({ width }), tensors: { x: { ...view, rowStride, offset } } }).code

  test.each([
    [4, 8, 0],
    [2, 6, 2],
  ] as const)('takes loads of %i with stride %i and offset %i', (width, rowStride, offset) => {
    const code = assembleRows(width, rowStride, offset)
    expect(code).toContain(`const x_stride: u32 = ${rowStride / width}u;`)
    expect(code).toContain(`const x_offset: u32 = ${offset / width}u;`)
  })

  test.each([
    [4, 6, 0],
    [4, 8, 2],
  ] as const)('refuses loads of %i with stride %i and offset %i', (width, rowStride, offset) => {
    expect(() => assembleRows(width, rowStride, offset)).toThrow('[internal] x: rows aligned to 4 elements')
  })

  test('rejects a binding of a tensor that the op does not have', () => {
    expect(() => assemble('', { config: bind({ tensor: 'z' }), tensors: { x: view } })).toThrow('[internal]')
  })
})

describe('one assembler', () => {
  const assembler = new ShaderAssembler(minimalCapabilities)
  const of = (shader: string, value: number, flags = { YES: true, NO: false }): AssembledShader =>
    assemble(shader, { assembler, config: { constants: { u32: { COUNT: value }, flags } } })

  test('gives equal shaders out as one, text and line map', () => {
    expect(of('a', 7)).toBe(of('a', 7))
  })

  test.each<[string, AssembledShader]>([
    ['another text', of('b', 7)],
    ['another constant', of('a', 8)],
    ['another flag', of('a', 7, { YES: true, NO: true })],
  ])('but not for %s', (_name, other) => {
    expect(other).not.toBe(of('a', 7))
  })

  test('resolves a file anew for other flags', () => {
    const shader = '#if NO\na\n#else\nb\n#endif'
    expect(body(of(shader, 7, { YES: true, NO: false }))).toEqual(['b'])
    expect(body(of(shader, 7, { YES: true, NO: true }))).toEqual(['a'])
  })
})

describe('the kernel set', () => {
  test('rejects an op without a kernel', () => {
    const op = {
      kind: 'slice',
      inputs: {},
      outputs: {},
      attrs: { start: 0, length: 1 },
      origin: 'layers.0.v',
    } as const
    const problem: KernelProblem = { op, tensors: {}, maxima: { T: 1, S: 1, R: 1 } }
    expect(() => wgslKernels.select(problem, minimalCapabilities)).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [kernel/unsupported] layers.0.v (slice): expected a WGSL kernel, got none. Add a KernelSpec for this op kind in src/kernels.]`,
    )
  })

  test('has a plainest variant for every op that supports all problems, and names every variant once', () => {
    const variants = Object.values(wgslKernels.specs).flatMap(({ variants }) => variants)
    expect(new Set(variants.map(({ name }) => name)).size).toBe(variants.length)
    for (const { variants } of Object.values(wgslKernels.specs)) expect(variants.length).toBeGreaterThan(0)
  })
})
