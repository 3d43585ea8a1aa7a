// A device that can be lost: at will, or when a given call comes. What fails then, and what is known only a moment
// later, is as with a GPUDevice: the error first, then the news.

import { RuntimeFault } from '../../src/core/errors.ts'
import type { Device, LostInfo } from '../../src/device/device.ts'

type Call = 'alloc' | 'upload' | 'prepare' | 'run'

export interface LosableDevice extends Device {
  readonly lose: () => void
  readonly isDisposed: boolean
}

export interface LosableOptions {
  /** The call at which it is lost; it fails. */
  readonly loseAt?: { readonly call: Call; readonly count: number }
  /** Awaited before the result of each call. */
  readonly beforeResult?: () => Promise<void>
  /** Whether results of steps that ran before the loss still come after it. */
  readonly keepsResults?: boolean
}

export function losableDevice(
  inner: Device,
  { loseAt, beforeResult, keepsResults = false }: LosableOptions = {},
): LosableDevice {
  let isLost = false
  let isDisposed = false
  let numCalls = 0
  let tell: (info: LostInfo) => void = () => undefined
  const lost = new Promise<LostInfo>((resolve) => (tell = resolve))
  const lose = (): void => {
    isLost = true
    setTimeout(() => tell({ reason: 'unknown', message: 'unplugged' }), 2)
  }
  /** Errors of a lost GPUDevice are of many kinds; only those of steps say what has happened. */
  const guard =
    <Args extends unknown[], T>(call: Call, method: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      if (call === loseAt?.call && ++numCalls === loseAt.count) lose()
      if (isLost && call !== 'run') throw new TypeError('the instance is gone')
      const promise = isLost ? undefined : method(...args)
      await beforeResult?.()
      if (promise === undefined || (isLost && call === 'run' && !keepsResults)) throw lostFault()
      return promise
    }
  return {
    ...inner,
    lost,
    alloc: guard('alloc', (...args: Parameters<Device['alloc']>) => inner.alloc(...args)),
    upload: guard('upload', (...args: Parameters<Device['upload']>) => inner.upload(...args)),
    prepare: guard('prepare', (...args: Parameters<Device['prepare']>) => inner.prepare(...args)),
    run: guard('run', (...args: Parameters<Device['run']>) => inner.run(...args)),
    lose,
    get isDisposed() {
      return isDisposed
    },
    dispose() {
      isDisposed = true
      isLost = true
      tell({ reason: 'destroyed', message: 'disposed' })
      inner.dispose()
    },
  }
}

function lostFault(): RuntimeFault {
  return new RuntimeFault('device/lost', { where: 'x', expected: 'a device', got: 'none', fix: 'Wait.' })
}
