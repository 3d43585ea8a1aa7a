// Calls back at most once per frame, and less often where what the call leads to takes long: input comes first.

/** Share of the main thread that may go into frames. */
const share = 0.25
/** Frames stop in a hidden tab, answers do not. */
const hiddenMs = 500
const cheapMs = 4

export interface Pacer {
  /** Wants a call; one that is already due covers it. */
  request(): void
  /** Calls at once if one is due. */
  flush(): void
}

export function createPacer(callback: () => void): Pacer {
  let isDue = false
  let notBefore = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let frame = 0

  const call = (): void => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
    isDue = false
    const startedAt = performance.now()
    callback()
    // After rendering, layout and paint of this frame.
    setTimeout(() => {
      const tookMs = performance.now() - startedAt
      notBefore = tookMs > cheapMs ? startedAt + tookMs / share : 0
    })
  }
  const plan = (): void => {
    timer = setTimeout(call, hiddenMs)
    frame = requestAnimationFrame(call)
  }
  return {
    request() {
      if (isDue) return
      isDue = true
      const waitMs = notBefore - performance.now()
      if (waitMs > 0) timer = setTimeout(plan, waitMs)
      else plan()
    },
    flush() {
      if (isDue) call()
    },
  }
}
