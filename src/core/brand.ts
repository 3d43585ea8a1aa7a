// Branded numbers: integers of different meaning that must not be mixed. Not here: conversions that check anything.

declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** Index of a block in the KV cache. */
export type BlockId = Branded<'BlockId'>
/** Index into a plan's buffers. */
export type BufferId = Branded<'BufferId'>
/** Index into a graph's values. */
export type ValueId = Branded<'ValueId'>
/** Index into a graph's states. */
export type StateId = Branded<'StateId'>
