// A diagnosis as text for a person and as JSON for a program.

import { formatBytes } from '../../core/units.ts'
import type { AdapterProbe, CommandContext } from '../deps.ts'
import { coloursFor, table, tableWithNotes, visible, wrap, type Colours } from '../terminal.ts'
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
  const columns = stdout.columns ?? Infinity
  const title = `${bold('tabhopper doctor')} ${dim(`${version} · Node ${machine.nodeVersion} · ${machine.platform} ${machine.arch}`)}`
  const parts = [wrap(title, columns).join('\n'), adapterReport(diagnosis, colours, columns)]
  if (drivers.length > 0) {
    const rows = drivers.map((driver) => driverRow(driver, colours))
    const lines = tableWithNotes(rows, [], columns - 2)
    parts.push([bold('Vulkan drivers'), ...lines.map((line) => `  ${line}`)].join('\n'))
  }
  for (const { text, commands } of advice) {
    parts.push(
      [...wrap(text, Math.min(columns, 78), '→ '), ...commands.map((command) => `    ${bold(command)}`)].join(
        '\n',
      ),
    )
  }
  return parts.join('\n\n')
}

function adapterReport(
  { used, why }: Diagnosis,
  { bold, dim, green, red, yellow }: Colours,
  columns: number,
): string {
  const reason = wrap(dim(why), columns, '  ')
  if (used.status !== 'accepted') return [`${red('✗')} ${bold('No WebGPU adapter')}`, ...reason].join('\n')
  const { info, limits, languageFeatures } = used.probe
  const mark = info.isSoftware ? yellow('!') : green('✓')
  const lines = [
    ...wrap(bold(info.description || info.device || info.vendor), columns, `${mark} `),
    ...reason,
  ]
  if (info.isSoftware) lines.push(...wrap(yellow(softwareWarning), columns, '  '))
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
  const beside = table(rows)
  const isWide = beside.every((line) => visible(line) + 2 <= columns)
  const below = [rows.map((row) => row.slice(0, 2)), rows.map((row) => row.slice(3))].flatMap((half) =>
    table(half),
  )
  return [...lines, '', ...(isWide ? beside : below).map((line) => `  ${line}`)].join('\n')
}

/** Mark and name, what came of it, and who says so or why. */
function driverRow(
  { name, outcome, isUsed, isDefault }: ProbedDriver,
  { green, red, yellow, dim }: Colours,
): string[] {
  if (outcome.status !== 'accepted') {
    const isFailure = outcome.status === 'crashed' || outcome.status === 'timeout'
    const paint = isFailure ? red : dim
    return [`${paint(isFailure ? '✗' : '·')} ${dim(name)}`, ...failure(outcome).map(paint)]
  }
  const { info } = outcome.probe
  const notes = [info.isSoftware ? yellow('software') : '', isUsed ? green('used') : '']
  if (!isDefault) notes.push(dim('not searched'))
  return [`${green('●')} ${name}`, notes.filter((note) => note !== '').join(', '), info.description]
}

function failure(outcome: Exclude<ProbeOutcome, { status: 'accepted' }>): [what: string, why: string] {
  switch (outcome.status) {
    case 'noDevice':
      return ['no device', '']
    case 'refused':
      return ['refused by Dawn', outcome.reason]
    case 'crashed':
      return ['crashed', outcome.reason]
    case 'timeout':
      return [outcome.reason, '']
    default:
      return outcome.status satisfies never
  }
}
