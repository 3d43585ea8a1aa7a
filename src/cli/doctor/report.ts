// A diagnosis as text for a person and as JSON for a program.

import { formatBytes } from '../../core/units.ts'
import type { AdapterProbe, CommandContext } from '../deps.ts'
import { coloursFor, table, type Colours } from '../terminal.ts'
import type { Diagnosis, ProbedDriver } from './diagnosis.ts'
import type { ProbeOutcome } from './probe.ts'

/** The limits that decide what fits and what is fast. */
const limitNames = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
]

export function doctorDocument(diagnosis: Diagnosis, { version, machine }: CommandContext): object {
  const { used, why, drivers, cards, advice } = diagnosis
  return {
    version,
    node: machine.nodeVersion,
    platform: `${machine.platform}-${machine.arch}`,
    adapter: used.status === 'accepted' ? adapterDocument(used.probe) : null,
    why,
    warning: used.status === 'accepted' && used.probe.info.isSoftware ? softwareWarning : null,
    drivers: drivers.map(({ path, isDefault, isUsed, outcome }) => ({
      path,
      isDefault,
      isUsed,
      status: outcome.status,
      ...(outcome.status === 'accepted'
        ? { adapter: adapterDocument(outcome.probe) }
        : { reason: outcome.reason }),
    })),
    cards,
    advice,
  }
}

function adapterDocument({ info, limits, languageFeatures }: AdapterProbe): object {
  return {
    ...info,
    limits: Object.fromEntries(limitNames.map((name) => [name, limits[name] ?? null])),
    wgslLanguageFeatures: languageFeatures,
  }
}

const softwareWarning = 'Software: it runs on CPU cores, with right answers but slowly.'

export function doctorReport(
  diagnosis: Diagnosis,
  { version, machine, stdout, env }: CommandContext,
): string {
  const colours = coloursFor(stdout, env)
  const { bold, dim } = colours
  const { drivers, advice } = diagnosis
  const parts = [
    `${bold('tabhopper doctor')} ${dim(`${version} · Node ${machine.nodeVersion} · ${machine.platform} ${machine.arch}`)}`,
    adapterReport(diagnosis, colours),
  ]
  if (drivers.length > 0) {
    const rows = drivers.map((driver) => driverRow(driver, colours))
    parts.push([bold('Vulkan drivers'), ...table(rows).map((line) => `  ${line}`)].join('\n'))
  }
  for (const { text, commands } of advice) {
    parts.push([...wrap(text, '→ ', 78), ...commands.map((command) => `    ${bold(command)}`)].join('\n'))
  }
  return parts.join('\n\n')
}

function adapterReport({ used, why }: Diagnosis, { bold, dim, green, red, yellow }: Colours): string {
  if (used.status !== 'accepted') return `${red('✗')} ${bold('No WebGPU adapter')}\n  ${dim(why)}`
  const { info, limits, languageFeatures } = used.probe
  const mark = info.isSoftware ? yellow('!') : green('✓')
  const lines = [`${mark} ${bold(info.description || info.device || info.vendor)}`, `  ${dim(why)}`]
  if (info.isSoftware) lines.push(`  ${yellow(softwareWarning)}`)
  const has = (feature: string): string => (info.features.includes(feature) ? green('yes') : dim('no'))
  const bytes = (name: string): string => formatBytes(limits[name] ?? 0)
  const { subgroupMinSize: min, subgroupMaxSize: max } = info
  const range =
    min === undefined || max === undefined ? '' : min === max ? `, ${min} wide` : `, ${min} to ${max} wide`
  const size = info.features.includes('subgroups') ? range : ''
  const rows = [
    ['shader-f16', has('shader-f16'), 'one binding', bytes('maxStorageBufferBindingSize')],
    ['subgroups', `${has('subgroups')}${size}`, 'one buffer', bytes('maxBufferSize')],
    [
      'timestamps',
      has('timestamp-query'),
      'workgroup',
      `${limits['maxComputeInvocationsPerWorkgroup']} invocations, ${bytes('maxComputeWorkgroupStorageSize')}`,
    ],
    [
      'integer dot',
      languageFeatures.includes('packed_4x8_integer_dot_product') ? green('yes') : dim('no'),
      'one shader',
      `${limits['maxStorageBuffersPerShaderStage']} storage buffers`,
    ],
  ].map(([name, value, limit, most]) => [dim(name!), value!, ' ', dim(limit!), most!])
  return [...lines, '', ...table(rows).map((line) => `  ${line}`)].join('\n')
}

function driverRow(
  { name, outcome, isUsed, isDefault }: ProbedDriver,
  { green, red, yellow, dim }: Colours,
): string[] {
  if (outcome.status !== 'accepted') {
    const isFailure = outcome.status === 'crashed' || outcome.status === 'timeout'
    return [
      isFailure ? red('✗') : dim('·'),
      dim(name),
      isFailure ? red(failure(outcome)) : dim(failure(outcome)),
    ]
  }
  const { info } = outcome.probe
  const notes = [info.isSoftware ? yellow('software') : '', isUsed ? green('used') : '']
  if (!isDefault) notes.push(dim('not searched'))
  return [green('●'), name, info.description, notes.filter((note) => note !== '').join(', ')]
}

function failure(outcome: Exclude<ProbeOutcome, { status: 'accepted' }>): string {
  switch (outcome.status) {
    case 'noDevice':
      return 'no device'
    case 'refused':
      return `refused by Dawn: ${outcome.reason}`
    case 'crashed':
      return `crashed: ${outcome.reason}`
    case 'timeout':
      return outcome.reason
    default:
      return outcome.status satisfies never
  }
}

/** Lines of at most `width`, the first after `lead`, the others below its end. */
function wrap(text: string, lead: string, width: number): string[] {
  const lines = [lead]
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + word.length > width) lines.push(' '.repeat(lead.length) + word + ' ')
    else lines[lines.length - 1] = `${line}${word} `
  }
  return lines.map((line) => line.trimEnd())
}
