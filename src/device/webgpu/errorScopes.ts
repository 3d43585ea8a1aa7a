// Errors of our own calls to a GPUDevice, which others may be using as well: theirs are none of ours.

import { RuntimeFault } from '../../core/errors.ts'

/** What the device has against some calls; null where it has nothing. */
export interface ScopedErrors {
  readonly validation: GPUError | null
  readonly memory: GPUError | null
}

/** What `calls` return, and their errors as soon as those are known. Only what is called before it returns counts. */
export function scoped<T>(
  gpu: GPUDevice,
  calls: () => T,
): { readonly value: T; readonly errors: Promise<ScopedErrors> } {
  gpu.pushErrorScope('out-of-memory')
  gpu.pushErrorScope('validation')
  let errors: Promise<ScopedErrors> | undefined
  try {
    const value = calls()
    return { value, errors: (errors = popBoth(gpu)) }
  } finally {
    // Scopes are the device's: none may stay open, whatever `calls` throw.
    if (errors === undefined) popBoth(gpu).catch(() => undefined)
  }
}

async function popBoth(gpu: GPUDevice): Promise<ScopedErrors> {
  const [validation, memory] = await Promise.all([gpu.popErrorScope(), gpu.popErrorScope()])
  return { validation, memory }
}

/** A buffer at once; `made` rejects with device/memory where there is no room for it, and it must not be used. */
export function makeBuffer(
  gpu: GPUDevice,
  descriptor: GPUBufferDescriptor,
  where: string,
): { readonly handle: GPUBuffer; readonly made: Promise<void> } {
  const { value: handle, errors } = scoped(gpu, () => gpu.createBuffer(descriptor))
  return { handle, made: errors.then((found) => throwIfRefused(found, where, descriptor.size)) }
}

function throwIfRefused({ validation, memory }: ScopedErrors, where: string, bytes: number): void {
  const error = validation ?? memory
  if (error !== null) throw memoryFault(where, `${bytes} bytes of device memory`, error)
}

export function memoryFault(where: string, expected: string, cause: GPUError): RuntimeFault {
  return new RuntimeFault('device/memory', {
    where,
    expected,
    got: cause.message,
    fix: 'Use a smaller model, dtype, batch or maxSeqLen.',
    cause,
  })
}
