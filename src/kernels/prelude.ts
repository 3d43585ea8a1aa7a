// What stands before a kernel's own text: extensions, constants, the step's dims, and for each tensor its declaration and
// accessors (`load_x`, `store_y`). Not here: the text itself (assemble.ts).

import { invariant } from '../core/errors.ts'
import type { DType } from '../core/dtype.ts'
import { dimSymbols, type Dim } from '../graph/dim.ts'
import type { KernelBinding, KernelCapabilities, KernelConfig, KernelProblem, TensorView } from './spec.ts'

/** Lines of WGSL; `x_rows()` is only there for the tensors in `countedRows`. */
export function writePrelude(
  config: KernelConfig,
  problem: KernelProblem,
  capabilities: KernelCapabilities,
  countedRows: ReadonlySet<string>,
): string[] {
  const tensors = config.bindings.map((binding) => {
    const tensor = problem.tensors[binding.tensor]
    invariant(tensor !== undefined, `${problem.op.kind} binds unknown tensor ${binding.tensor}`)
    return { binding, tensor }
  })
  const usesNative = capabilities.nativeF16 && tensors.some(({ tensor }) => tensor.dtype === 'f16')
  const [x, y, z] = config.workgroupSize
  const lines = (config.enables ?? []).map((name) => `enable ${name};`)
  if (usesNative) lines.push('enable f16;')
  // The analysis knows workgroups only, and takes what is uniform in a subgroup for a mistake.
  if (config.enables?.includes('chromium_experimental_subgroup_matrix') === true)
    lines.push('diagnostic(off, chromium.subgroup_matrix_uniformity);')
  lines.push(
    `alias Pack = ${vectorType('f32', config.packWidth)};`,
    `const PACK: u32 = ${config.packWidth}u;`,
  )
  lines.push(`const WG_X: u32 = ${x}u;`, `const WG_Y: u32 = ${y}u;`, `const WG_Z: u32 = ${z}u;`)
  for (const [name, value] of Object.entries(config.constants.u32 ?? {}))
    lines.push(`const ${name}: u32 = ${value}u;`)
  for (const [name, value] of Object.entries(config.constants.f32 ?? {}))
    lines.push(`const ${name}: f32 = ${f32Literal(value)};`)
  lines.push(`struct Params { ${[...dimSymbols, 'zero'].map((name) => `${name}: u32`).join(', ')} }`)
  lines.push('@group(1) @binding(0) var<uniform> params: Params;')
  // Software adapters unroll loops of known length and then compile for seconds; the bound hides in a uniform.
  const bound = capabilities.adapterClass === 'software' ? 'n + params.zero' : 'n'
  lines.push(`fn loop_bound(n: u32) -> u32 { return ${bound}; }`)
  tensors.forEach(({ binding, tensor }, index) => {
    lines.push(...declare(binding, tensor, index, capabilities.nativeF16))
    // Unasked it would only make shaders differ, such as those over KV caches of different sizes.
    const name = nameOf(binding)
    if (countedRows.has(name)) lines.push(`fn ${name}_rows() -> u32 { return ${dimText(tensor.shape[0]!)}; }`)
  })
  return lines
}

/** An f32 literal that parses back to the same bits. */
function f32Literal(value: number): string {
  const text = Math.fround(value).toPrecision(9)
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}

function vectorType(scalar: 'f32' | 'f16' | 'i32' | 'u32', width: 1 | 2 | 4): string {
  return width === 1 ? scalar : `vec${width}<${scalar}>`
}

/** What a tensor is called in the shader. */
function nameOf(binding: KernelBinding): string {
  return binding.as ?? binding.tensor
}

/** Declaration, stride constants and accessors of one tensor; indices count loads, not elements. */
function declare(binding: KernelBinding, tensor: TensorView, index: number, nativeF16: boolean): string[] {
  const { access, width } = binding
  const name = nameOf(binding)
  const { element, load, store } =
    width === 8 ? wideStorage(tensor.dtype, name, nativeF16) : storage(tensor.dtype, width, name, nativeF16)
  const type = width === 8 ? 'mat2x4<f32>' : vectorType(tensor.dtype === 'f16' ? 'f32' : tensor.dtype, width)
  invariant(
    tensor.rowStride % width === 0 && tensor.offset % width === 0,
    `${name}: rows aligned to ${width} elements`,
  )
  const lines = [
    `@group(0) @binding(${index}) var<storage, ${access}> ${name}: array<${element}>;`,
    `const ${name}_stride: u32 = ${tensor.rowStride / width}u;`,
    `const ${name}_offset: u32 = ${tensor.offset / width}u;`,
    `fn load_${name}(i: u32) -> ${type} { ${load} }`,
  ]
  if (access === 'read_write')
    lines.push(`fn store_${name}(i: u32, value: ${type}) { ${name}[i] = ${store}; }`)
  return lines
}

/** A dimension as a WGSL expression over the step's parameters. */
function dimText(dim: Dim): string {
  if (typeof dim === 'number') return `${dim}u`
  switch (dim.kind) {
    case 'symbol':
      return `params.${dim.name}`
    case 'affine':
      return `(${dimText(dim.of)} * ${dim.scale}u + ${dim.offset}u)`
    case 'ceilDiv':
      return `((${dimText(dim.of)} + ${dim.divisor - 1}u) / ${dim.divisor}u)`
    default:
      return dim satisfies never
  }
}

/** Eight elements a load: 16 bytes of f16, the most that GPUs move at once. */
function wideStorage(dtype: DType, name: string, nativeF16: boolean): ReturnType<typeof storage> {
  if (dtype !== 'f16') return { element: 'mat2x4<f32>', load: `return ${name}[i];`, store: 'value' }
  const halves = (words: string): string =>
    nativeF16
      ? `vec4<f32>(bitcast<vec4<f16>>(${words}))`
      : `vec4<f32>(unpack2x16float(${words}.x), unpack2x16float(${words}.y))`
  const load = `let words = ${name}[i]; return mat2x4<f32>(${halves('words.xy')}, ${halves('words.zw')});`
  return { element: 'vec4<u32>', load, store: 'unstorable' }
}

function storage(
  dtype: DType,
  width: 1 | 2 | 4,
  name: string,
  nativeF16: boolean,
): { element: string; load: string; store: string } {
  if (dtype !== 'f16')
    return { element: vectorType(dtype, width), load: `return ${name}[i];`, store: 'value' }
  if (nativeF16) {
    const [element, type] = [vectorType('f16', width), vectorType('f32', width)]
    return { element, load: `return ${type}(${name}[i]);`, store: `${element}(${saturated('value', width)})` }
  }
  switch (width) {
    case 1:
      // A single half cannot be stored: its neighbour shares the word. Plans never ask for it.
      return {
        element: 'u32',
        load: `return unpack2x16float(${name}[i >> 1u])[i & 1u];`,
        store: 'unpackable',
      }
    case 2:
      return { element: 'u32', load: `return unpack2x16float(${name}[i]);`, store: packed('value') }
    case 4:
      return {
        element: 'vec2<u32>',
        // Read as a whole: compilers for CPUs load each word that is named, and check each index.
        load: `let words = ${name}[i]; return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));`,
        store: `vec2<u32>(${packed('value.xy')}, ${packed('value.zw')})`,
      }
    default:
      return width satisfies never
  }
}

/**
 * What is too large for a half becomes the largest one: an infinity would be NaN in the next sum. NaN stays what it is, told
 * by its bits, since compilers may take it that there is none.
 */
function saturated(value: string, width: 1 | 2 | 4): string {
  const [floats, words] = [vectorType('f32', width), vectorType('u32', width)]
  const isNaN = `(bitcast<${words}>(${value}) & ${words}(0x7fffffffu)) > ${words}(0x7f800000u)`
  return `select(clamp(${value}, ${floats}(-65504.0), ${floats}(65504.0)), ${value}, ${isNaN})`
}

function packed(pair: string): string {
  return `pack2x16float(${saturated(pair, 2)})`
}
