// Dimensions that may depend on the step: numbers, or affine and ceil-div expressions over a few named symbols.
// Not a general algebra: just what grids, shapes and buffer sizes need.

/** `T` tokens in this step, `S` sequences in this step, `R` rows of logits in this step. */
export type DimSymbol = 'T' | 'S' | 'R'

/** All symbols, in the order in which their values are laid out for kernels. */
export const dimSymbols: readonly DimSymbol[] = ['T', 'S', 'R']

/** Values of the symbols: of one step, or the maxima that a plan was made for. */
export type DimEnv = Readonly<Record<DimSymbol, number>>

export type Dim =
  | number
  | { readonly kind: 'symbol'; readonly name: DimSymbol }
  | { readonly kind: 'affine'; readonly of: Dim; readonly scale: number; readonly offset: number }
  | { readonly kind: 'ceilDiv'; readonly of: Dim; readonly divisor: number }

export function symbol(name: DimSymbol): Dim {
  return { kind: 'symbol', name }
}

/** `of * scale + offset`, folded where it can be. */
export function affine(of: Dim, scale: number, offset = 0): Dim {
  if (typeof of === 'number') return of * scale + offset
  if (scale === 1 && offset === 0) return of
  if (of.kind === 'affine') return affine(of.of, of.scale * scale, of.offset * scale + offset)
  return { kind: 'affine', of, scale, offset }
}

export function ceilDiv(of: Dim, divisor: number): Dim {
  if (divisor === 1) return of
  return typeof of === 'number' ? Math.ceil(of / divisor) : { kind: 'ceilDiv', of, divisor }
}

export function evalDim(dim: Dim, env: DimEnv): number {
  if (typeof dim === 'number') return dim
  switch (dim.kind) {
    case 'symbol':
      return env[dim.name]
    case 'affine':
      return evalDim(dim.of, env) * dim.scale + dim.offset
    case 'ceilDiv':
      return Math.ceil(evalDim(dim.of, env) / dim.divisor)
    default:
      return dim satisfies never
  }
}

export function printDim(dim: Dim): string {
  if (typeof dim === 'number') return String(dim)
  switch (dim.kind) {
    case 'symbol':
      return dim.name
    case 'affine': {
      const scaled = dim.scale === 1 ? printDim(dim.of) : `${printDim(dim.of)}*${dim.scale}`
      return dim.offset === 0 ? scaled : `${scaled}+${dim.offset}`
    }
    case 'ceilDiv':
      return `ceil(${printDim(dim.of)}/${dim.divisor})`
    default:
      return dim satisfies never
  }
}

export function printShape(shape: readonly Dim[]): string {
  return `[${shape.map(printDim).join(', ')}]`
}

/** Structural equality; expressions are folded on construction, so equal meaning prints equally. */
export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => printDim(dim) === printDim(b[i]!))
}

/** Number of elements of a shape under `env`. */
export function numElements(shape: readonly Dim[], env: DimEnv): number {
  return shape.reduce<number>((product, dim) => product * evalDim(dim, env), 1)
}
