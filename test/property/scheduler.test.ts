// The scheduler under random arrivals, lengths, endings and cancellations, two steps in flight as in the engine.
// A model of the KV cache and of the sampled rows checks that every step reads what its sequences wrote.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockManager } from '../../src/engine/llm/blockManager.ts'
import { Scheduler, type ScheduledChunk } from '../../src/engine/llm/scheduler.ts'
import { Sequence } from '../../src/engine/llm/sequence.ts'
import { buildStepInputs } from '../../src/engine/llm/stepInputs.ts'

const blockSize = 4
const maxBlocksPerSeq = 6
const maxSeqLen = blockSize * maxBlocksPerSeq
const maxStepsInFlight = 2

interface Request {
  readonly numPrompt: number
  readonly numNew: number
  /** Rounds from the request before to this one. */
  readonly gap: number
  /** Answer tokens after which a stop token comes; beyond numNew: never. */
  readonly stopAfter: number
  /** Rounds from arrival to cancellation, if it is cancelled. */
  readonly cancelAfter: number | undefined
}

interface Workload {
  readonly requests: readonly Request[]
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly numBlocks: number
}

const request: fc.Arbitrary<Request> = fc
  .record({
    numPrompt: fc.integer({ min: 1, max: maxSeqLen }),
    numNew: fc.integer({ min: 1, max: maxSeqLen }),
    gap: fc.oneof(fc.constant(0), fc.nat(6)),
    stopAfter: fc.integer({ min: 1, max: 2 * maxSeqLen }),
    cancelAfter: fc.option(fc.nat(20), { nil: undefined, freq: 4 }),
  })
  // As in the engine: the last token of a full sequence is never fed back.
  .map((drawn) => ({ ...drawn, numNew: Math.min(drawn.numNew, maxSeqLen - drawn.numPrompt + 1) }))

/** A cheap `expect`: it is called for every cached token of every step. */
function check(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

/** Blocks from just enough for one full sequence on. */
const workload: fc.Arbitrary<Workload> = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 10 }),
  maxNumSeqs: fc.integer({ min: 1, max: 5 }),
  maxNumBatchedTokens: fc.integer({ min: 1, max: 20 }),
  numBlocks: fc.integer({ min: maxBlocksPerSeq, max: 3 * maxBlocksPerSeq }),
})

interface InFlight {
  readonly sampled: { readonly sequence: Sequence; readonly index: number }[]
}

interface Report {
  readonly numRounds: number
  readonly numPreemptions: number
  /** Sequences in the order of their first chunk. */
  readonly admitted: readonly Sequence[]
  readonly sequences: readonly Sequence[]
}

class Simulation {
  readonly #workload: Workload
  readonly #blocks: BlockManager
  readonly #scheduler: Scheduler
  readonly #sequences: Sequence[] = []
  readonly #cancelAt = new Map<Sequence, number>()
  readonly #requestOf = new Map<Sequence, Request>()
  readonly #inFlight: InFlight[] = []
  readonly #admitted: Sequence[] = []
  /** What each slot holds: "sequence:position". */
  readonly #cache = new Map<number, string>()
  /** What each sampled row holds, likewise. */
  readonly #rows = new Map<number, string>()
  #numPreemptions = 0

  constructor(workload: Workload) {
    this.#workload = workload
    this.#blocks = new BlockManager(workload.numBlocks, blockSize)
    this.#scheduler = new Scheduler(this.#blocks, workload)
  }

  run(): Report {
    const { requests } = this.#workload
    const arrivals: number[] = []
    for (const { gap } of requests) arrivals.push((arrivals.at(-1) ?? 0) + gap)
    const total = requests.reduce((sum, { numPrompt, numNew }) => sum + numPrompt + numNew, 0)
    // In each round the oldest sequence gets a token or waits for one that is pending.
    const maxRounds = arrivals.at(-1)! + 2 * total + 10
    let round = 0
    for (; this.#sequences.length < requests.length || this.#scheduler.hasUnfinished; round++) {
      check(round < maxRounds, true, `everything finished in ${maxRounds} rounds`)
      arrivals.forEach((at, index) => at === round && this.#arrive(requests[index]!, round))
      for (const [sequence, at] of this.#cancelAt) if (at === round) this.#scheduler.finish(sequence)
      this.#round()
      this.#checkBlocks()
    }
    while (this.#inFlight.length > 0) this.#commit()
    this.#checkBlocks()
    check(this.#blocks.numFree, this.#workload.numBlocks, 'free blocks at the end')
    return {
      numRounds: round,
      numPreemptions: this.#numPreemptions,
      admitted: this.#admitted,
      sequences: this.#sequences,
    }
  }

  #arrive(request: Request, round: number): void {
    const sequence = new Sequence({
      promptTokens: Array.from({ length: request.numPrompt }, () => this.#sequences.length),
      maxNewTokens: request.numNew,
      stopTokenIds: new Set(),
      sampling: { temperature: 0, seed: [0, 0] },
    })
    this.#sequences.push(sequence)
    this.#requestOf.set(sequence, request)
    if (request.cancelAfter !== undefined) this.#cancelAt.set(sequence, round + request.cancelAfter)
    this.#scheduler.add(sequence)
  }

  /** One turn of the engine's loop. */
  #round(): void {
    const before = this.#sequences.filter(({ status }) => status === 'running')
    const chunks = this.#scheduler.schedule()
    this.#numPreemptions += before.filter(({ status }) => status === 'waiting').length
    if (chunks.length > 0) this.#submit(chunks)
    if (this.#scheduler.hasUnfinished) check(this.#inFlight.length > 0, true, 'steps to wait for')
    if (this.#inFlight.length >= maxStepsInFlight || chunks.length === 0) this.#commit()
  }

  #submit(chunks: readonly ScheduledChunk[]): void {
    const { maxNumBatchedTokens, maxNumSeqs } = this.#workload
    const numTokens = chunks.reduce((sum, chunk) => sum + chunk.numTokens, 0)
    check(numTokens <= maxNumBatchedTokens, true, 'tokens within the budget')
    check(chunks.length <= maxNumSeqs, true, 'sequences within the limit')
    check(new Set(chunks.map(({ sequence }) => sequence)).size, chunks.length, 'one chunk for each sequence')
    for (const { sequence, numTokens: length, start, samples } of chunks) {
      check(length > 0, true, 'no empty chunk')
      check(sequence.status, 'running', 'who is in a step')
      check(samples, start + length === sequence.numTokens, 'whether the chunk samples')
      if (!this.#admitted.includes(sequence)) this.#admitted.push(sequence)
    }
    const rows = chunks.map(({ sequence }) => sequence.row!)
    check(new Set(rows).size, rows.length, 'a row for each')
    check(
      rows.every((row) => row >= 0 && row < maxNumSeqs),
      true,
      'rows that exist',
    )
    this.#execute(chunks)
    const sampling = chunks.filter(({ samples }) => samples).map(({ sequence }) => sequence)
    for (const sequence of sampling) sequence.numPending++
    this.#inFlight.push({
      sampled: sampling.map((sequence) => ({ sequence, index: sequence.numGenerated })),
    })
  }

  /** Plays the step on the models of cache and rows, reading before it samples, as the device does. */
  #execute(chunks: readonly ScheduledChunk[]): void {
    const { values } = buildStepInputs(chunks, { blockSize, maxBlocksPerSeq })
    const slots = values['slotMapping'] as number[]
    const source = values['tokenSource'] as number[]
    check(new Set(slots).size, slots.length, 'slots written in one step')
    let token = 0
    for (const { sequence, start, numTokens } of chunks) {
      const name = this.#sequences.indexOf(sequence)
      for (let position = start; position < start + numTokens; position++, token++) {
        this.#cache.set(slots[token]!, `${name}:${position}`)
        if (source[2 * token] !== 1) continue
        check(this.#rows.get(source[2 * token + 1]!), `${name}:${position}`, 'the token that a decode reads')
      }
    }
    for (const { sequence, start, numTokens, samples } of chunks) {
      const name = this.#sequences.indexOf(sequence)
      for (let position = 0; position < start + numTokens; position++) {
        const block = sequence.blockTable[Math.floor(position / blockSize)]!
        const slot = block * blockSize + (position % blockSize)
        check(this.#cache.get(slot), `${name}:${position}`, 'what attention reads')
      }
      if (samples) this.#rows.set(sequence.row!, `${name}:${start + numTokens}`)
    }
  }

  #commit(): void {
    for (const { sequence, index } of this.#inFlight.shift()?.sampled ?? []) {
      sequence.numPending--
      if (sequence.status === 'finished') continue
      sequence.tokens.push(1000 + index)
      const { numNew, stopAfter } = this.#requestOf.get(sequence)!
      if (index >= Math.min(numNew, stopAfter)) this.#scheduler.finish(sequence)
    }
  }

  /** No block in two tables; free + used = all; waiting and finished sequences hold none. */
  #checkBlocks(): void {
    const used = this.#sequences.flatMap(({ blockTable }) => blockTable)
    check(new Set(used).size, used.length, 'each block in one table')
    check(this.#blocks.numFree + used.length, this.#workload.numBlocks, 'free and used blocks')
    for (const { status, numComputed, blockTable, row } of this.#sequences) {
      const isRunning = status === 'running'
      check(blockTable.length, isRunning ? Math.ceil(numComputed / blockSize) : 0, `blocks when ${status}`)
      check(row !== undefined, isRunning, `a row when ${status}`)
    }
  }
}

const simulate = (drawn: Workload): Report => new Simulation(drawn).run()

describe('any workload', () => {
  test('keeps every invariant in every step and finishes within a bound', () => {
    fc.assert(
      fc.property(workload, (drawn) => {
        expect(simulate(drawn).numRounds).toBeGreaterThan(0)
      }),
      { numRuns: 500 },
    )
  })

  test('gives every sequence that is not cancelled exactly its tokens', () => {
    fc.assert(
      fc.property(workload, (drawn) => {
        const { sequences } = simulate(drawn)
        expect(sequences).toHaveLength(drawn.requests.length)
        sequences.forEach((sequence, index) => {
          const { numPrompt, numNew, stopAfter, cancelAfter } = drawn.requests[index]!
          const generated = sequence.tokens.slice(numPrompt)
          const expected = Array.from({ length: Math.min(numNew, stopAfter) }, (_, i) => 1001 + i)
          const length = cancelAfter === undefined ? expected.length : generated.length
          expect(generated).toEqual(expected.slice(0, length))
        })
      }),
      { numRuns: 300 },
    )
  })

  test('admits in order of arrival', () => {
    fc.assert(
      fc.property(workload, (drawn) => {
        const { admitted, sequences } = simulate(drawn)
        const order = admitted.map((sequence) => sequences.indexOf(sequence))
        expect(order).toEqual(order.toSorted((a, b) => a - b))
      }),
      { numRuns: 300 },
    )
  })

  test('preempts nobody when there are blocks for all', () => {
    fc.assert(
      fc.property(workload, (drawn) => {
        const roomy = { ...drawn, numBlocks: drawn.maxNumSeqs * maxBlocksPerSeq }
        expect(simulate(roomy).numPreemptions).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})

describe('blocks for just one full sequence', () => {
  const full: Request = { numPrompt: 3, numNew: maxSeqLen - 2, gap: 0, stopAfter: 99, cancelAfter: undefined }
  const tight: Workload = {
    requests: [full, full, full, full],
    maxNumSeqs: 4,
    maxNumBatchedTokens: 8,
    numBlocks: maxBlocksPerSeq,
  }

  test('serve four of them, with preemptions', () => {
    const { sequences, numPreemptions } = simulate(tight)
    expect(numPreemptions).toBeGreaterThan(4)
    expect(sequences.every(({ tokens }) => tokens.length === maxSeqLen + 1)).toBe(true)
  })

  test('are one too many to miss: with fewer, the model of the engine notices', () => {
    expect(() => simulate({ ...tight, numBlocks: maxBlocksPerSeq - 1 })).toThrow(/rounds|to wait for/)
  })
})
