// Asks Dawn for an adapter in a process of its own, since a bad driver may crash or hang. The child's side is `doctor
// --probe`, which prints what it found.

import type { AdapterProbe, CommandContext, Environment } from '../deps.ts'
import { writeJson } from '../terminal.ts'

export type ProbeOutcome =
  | { readonly status: 'accepted'; readonly probe: AdapterProbe }
  /** `noDevice`: the driver found nothing to drive. `refused`: Dawn did not want what it offered. */
  | { readonly status: 'noDevice' | 'refused' | 'crashed' | 'timeout'; readonly reason: string }

const timeoutMs = 20_000

/** Said by the Vulkan loader when a driver has no device, or is made for another kind of machine. */
const noDevice =
  /Failed to detect any valid GPUs|VK_ERROR_INCOMPATIBLE_DRIVER|VK_ERROR_INITIALIZATION_FAILED|vkEnumeratePhysicalDevices/

export async function printProbe({ probeAdapter, stdout }: CommandContext): Promise<void> {
  await writeJson(stdout, (await probeAdapter()) ?? null)
}

/** With only this driver; undefined leaves the choice to the Vulkan loader. */
export async function probeDriver(
  path: string | undefined,
  { runChild, signal }: CommandContext,
): Promise<ProbeOutcome> {
  const env: Environment =
    path === undefined
      ? {}
      : { VK_DRIVER_FILES: path, VK_ICD_FILENAMES: path, VK_ADD_DRIVER_FILES: undefined }
  const { exitCode, exitSignal, isTimedOut, stdout, stderr } = await runChild(
    ['doctor', '--probe'],
    env,
    timeoutMs,
    signal,
  )
  signal.throwIfAborted()
  if (isTimedOut) return { status: 'timeout', reason: `no answer in ${timeoutMs / 1000} s` }
  if (exitSignal !== undefined) return { status: 'crashed', reason: exitSignal }
  if (exitCode !== 0) return { status: 'crashed', reason: firstLine(stderr) || `exit code ${exitCode}` }
  const probe = parseProbe(stdout)
  if (probe === undefined) return { status: 'crashed', reason: 'no answer' }
  if (probe !== null) return { status: 'accepted', probe }
  if (noDevice.test(stderr) || stderr.trim() === '') return { status: 'noDevice', reason: 'no device' }
  return { status: 'refused', reason: firstLine(stderr) }
}

/** undefined for what is no answer; null is the answer that there is no adapter. */
function parseProbe(text: string): AdapterProbe | null | undefined {
  try {
    return JSON.parse(text) as AdapterProbe | null
  } catch {
    return undefined
  }
}

function firstLine(text: string): string {
  const line = text.split('\n').find((line) => line.trim() !== '') ?? ''
  return line.trim().slice(0, 200)
}
