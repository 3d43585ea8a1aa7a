// The adapter of this machine, as `tabhopper doctor --json` tells it, in one line.

/**
 * @param doctor its process, started with its output in a pipe; undefined where there is none
 * @returns {Promise<string | undefined>} undefined where the doctor has nothing to say
 */
export async function adapterLine(doctor) {
  if (doctor === undefined) return undefined
  let output = ''
  doctor.stdout.on('data', (chunk) => (output += chunk))
  const hasRun = await new Promise((resolve) => {
    doctor.on('error', () => resolve(false))
    doctor.on('close', (code, signal) => resolve(signal === null))
  })
  if (!hasRun) return undefined
  try {
    return describeAdapter(JSON.parse(output).adapter)
  } catch {
    return undefined
  }
}

/** The browser makes its own choice, which the page shows. */
export function describeAdapter(adapter) {
  if (!adapter) return 'none outside the browser; the page shows what the browser has'
  const { description, device, vendor, features, isSoftware } = adapter
  return [
    description || device || vendor,
    features.includes('shader-f16') ? 'f16' : 'no f16',
    ...(isSoftware ? ['software: right, but slow'] : []),
  ].join(' · ')
}
