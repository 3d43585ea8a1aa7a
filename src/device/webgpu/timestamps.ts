// GPU time of each dispatch of a step, by timestamp queries around a pass of its own. For measuring only: it makes
// objects for every step and its passes keep dispatches from overlapping.

/** Largest query set that WebGPU allows. */
const maxQueries = 4096
const timestampBytes = 8

export class DispatchTimer {
  readonly #sets: readonly { readonly queries: GPUQuerySet; readonly count: number }[]
  readonly #ran: boolean[]
  readonly #resolved: GPUBuffer
  readonly #staging: GPUBuffer

  /** The device must have `timestamp-query`. */
  constructor(gpu: GPUDevice, numDispatches: number) {
    const total = Math.max(numDispatches, 1) * 2
    this.#sets = Array.from({ length: Math.ceil(total / maxQueries) }, (_, index) => {
      const count = Math.min(maxQueries, total - index * maxQueries)
      return { queries: gpu.createQuerySet({ type: 'timestamp', count }), count }
    })
    this.#ran = Array.from({ length: numDispatches }, () => false)
    const size = total * timestampBytes
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage
    this.#resolved = gpu.createBuffer({ label: 'timestamps', size, usage: QUERY_RESOLVE | COPY_SRC })
    this.#staging = gpu.createBuffer({ label: 'timestamps read', size, usage: COPY_DST | MAP_READ })
  }

  /** A pass for dispatch `index`, timed from its begin to its end. */
  beginPass(encoder: GPUCommandEncoder, index: number): GPUComputePassEncoder {
    this.#ran[index] = true
    const first = 2 * index
    return encoder.beginComputePass({
      timestampWrites: {
        querySet: this.#sets[Math.floor(first / maxQueries)]!.queries,
        beginningOfPassWriteIndex: first % maxQueries,
        endOfPassWriteIndex: (first % maxQueries) + 1,
      },
    })
  }

  /** Encodes the copy to the host, after the last pass. */
  finish(encoder: GPUCommandEncoder): void {
    this.#sets.forEach(({ queries, count }, index) =>
      encoder.resolveQuerySet(queries, 0, count, this.#resolved, index * maxQueries * timestampBytes),
    )
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, this.#staging.size)
  }

  /** Nanoseconds of each dispatch, 0 for those that did not run. Call once, after the submit; frees the timer. */
  async read(): Promise<Float64Array> {
    try {
      await this.#staging.mapAsync(GPUMapMode.READ)
      const times = new BigUint64Array(this.#staging.getMappedRange())
      return Float64Array.from(this.#ran, (hasRun, index) =>
        // A driver may report an end before its begin when the clock is read on different cores.
        hasRun ? Math.max(0, Number(times[2 * index + 1]! - times[2 * index]!)) : 0,
      )
    } finally {
      for (const { queries } of this.#sets) queries.destroy()
      this.#resolved.destroy()
      this.#staging.destroy()
    }
  }
}
