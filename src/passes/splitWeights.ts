// Weights larger than one storage binding are split by rows: a linear becomes one linear a band, whose results are
// columns of a concat; an embedding becomes a chain, one link a band. A table that both read is split alike for both.
// Only weight expressions change; whatever cannot be split is left to the planner, which refuses it.

import type { ValueId } from '../core/brand.ts'
import { bytesOf } from '../core/dtype.ts'
import { invariant } from '../core/errors.ts'
import { GraphEditor } from '../graph/editor.ts'
import type { Op, OpOf } from '../graph/graph.ts'
import { concat, exprShape, printExpr, sliceRows, type WeightExpr } from '../graph/weightExpr.ts'
import type { Pass } from './pass.ts'

/** Rows of a band are a multiple of the first of these that fits: kernels take tiles of 64 rows, loads take 4. */
const bandUnits = [64, 4]

/** Splits weights so that each takes at most `maxBytes`. */
export function splitWeights(maxBytes: number): Pass {
  return {
    name: 'splitWeights',
    run(graph) {
      const editor = new GraphEditor(graph)
      const weights = new BandedWeights(editor, maxBytes)
      for (const { kind, outputs } of graph.ops) {
        if (kind !== 'linear' && kind !== 'embedding') continue
        const result = outputs['y']!
        // Looked up anew: a split replaces the readers of its result.
        const op = editor.producer('linear', result) ?? editor.producer('embedding', result)
        const ops = op === undefined ? undefined : split(editor, weights, op)
        if (op === undefined || ops === undefined) continue
        editor.replace(op, ...ops)
        editor.replaceUses(result, ops.at(-1)!.outputs['y']!)
      }
      return editor.finish()
    },
  }
}

/** Ops that do what `op` does, the last of which makes its result; undefined where nothing is to be done. */
function split(
  editor: GraphEditor,
  weights: BandedWeights,
  op: OpOf<'linear'> | OpOf<'embedding'>,
): Op[] | undefined {
  return op.kind === 'linear' ? splitLinear(editor, weights, op) : splitEmbedding(editor, weights, op)
}

function splitLinear(editor: GraphEditor, weights: BandedWeights, op: OpOf<'linear'>): Op[] | undefined {
  const { x, w, bias, residual } = op.inputs
  // Gate and up are stacked: a band has rows of both.
  const parts = op.attrs.gated === true ? 2 : 1
  const bands = weights.bandsOf(w!, parts)
  if (bands === undefined || (bias !== undefined && weights.exprOf(bias) === undefined)) return undefined
  const ops: Op[] = []
  const columns: Record<string, ValueId> = {}
  bands.forEach((band, index) => {
    const origin = originOf(op, band)
    const inputs: Record<string, ValueId> = { x: x!, w: weights.rowsOf(w!, parts, band) }
    if (bias !== undefined) inputs['bias'] = weights.rowsOf(bias, parts, band)
    if (residual !== undefined) {
      const cut = editor.makeOp('slice', `${origin}.residual`, { x: residual }, band)
      ops.push(cut)
      inputs['residual'] = cut.outputs['y']!
    }
    const linear = editor.makeOp('linear', origin, inputs, op.attrs)
    ops.push(linear)
    columns[`x${index}`] = linear.outputs['y']!
  })
  return [...ops, editor.makeOp('concat', op.origin, columns, {})]
}

function splitEmbedding(
  editor: GraphEditor,
  weights: BandedWeights,
  op: OpOf<'embedding'>,
): Op[] | undefined {
  const whole = op.inputs['table']!
  let { inputs } = op
  return weights.bandsOf(whole, 1)?.map((band) => {
    const attrs = { ...op.attrs, firstRow: (op.attrs.firstRow ?? 0) + band.start }
    const table = weights.rowsOf(whole, 1, band)
    const link = editor.makeOp('embedding', originOf(op, band), { ...inputs, table }, attrs)
    inputs = { ...op.inputs, previous: link.outputs['y']! }
    return link
  })
}

/** `lm_head[0:16000]` */
function originOf({ origin }: Op, { start, length }: Band): string {
  return `${origin}[${start}:${start + length}]`
}

/** Consecutive rows, of each of the parts where a weight stacks several. */
interface Band {
  readonly start: number
  readonly length: number
}

/** Weights of a graph and their bands, each made once. */
class BandedWeights {
  readonly #editor: GraphEditor
  readonly #maxBytes: number
  readonly #known = new Map<string, ValueId>()

  constructor(editor: GraphEditor, maxBytes: number) {
    this.#editor = editor
    this.#maxBytes = maxBytes
  }

  /** Undefined for a value that is computed. */
  exprOf(id: ValueId): WeightExpr | undefined {
    const { source } = this.#editor.value(id)
    return source.kind === 'weight' ? source.expr : undefined
  }

  /** Undefined for a weight that fits, and for one of which not even four rows would. */
  bandsOf(weight: ValueId, parts: number): Band[] | undefined {
    const expr = this.exprOf(weight)
    if (expr === undefined) return undefined
    const [rows, width] = exprShape(expr)
    const bytesOfRow = parts * width! * bytesOf(this.#editor.value(weight).dtype)
    const maxRows = Math.floor(this.#maxBytes / bytesOfRow)
    const unit = bandUnits.find((candidate) => candidate <= maxRows)
    return rows! / parts <= maxRows || unit === undefined
      ? undefined
      : evenBands(rows! / parts, maxRows, unit)
  }

  /** A band of a weight that `exprOf` knows. */
  rowsOf(weight: ValueId, parts: number, { start, length }: Band): ValueId {
    const whole = this.exprOf(weight)
    invariant(whole !== undefined, 'only weights are cut into bands')
    const { dtype } = this.#editor.value(weight)
    const partRows = exprShape(whole)[0]! / parts
    const expr = concat(
      Array.from({ length: parts }, (_, part) => sliceRows(whole, part * partRows + start, length)),
    )
    const key = `${dtype} ${printExpr(expr)}`
    const band = this.#known.get(key) ?? this.#editor.weight(expr, dtype)
    this.#known.set(key, band)
    return band
  }
}

/** As few bands as possible, as equal as possible, of whole units but for the last. */
function evenBands(rows: number, maxRows: number, unit: number): Band[] {
  const units = Math.ceil(rows / unit)
  const numBands = Math.ceil(units / Math.floor(maxRows / unit))
  const startOf = (band: number): number => Math.min(rows, Math.floor((band * units) / numBands) * unit)
  return Array.from({ length: numBands }, (_, band) => ({
    start: startOf(band),
    length: startOf(band + 1) - startOf(band),
  }))
}
