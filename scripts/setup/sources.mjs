// Reads apt's source lists, deb822 (.sources) and one-line (.list), and writes the backports entry that goes
// with the mirror found there. Pure: text in, text out.

/**
 * @typedef {object} AptSource
 * @property {string[]} uris
 * @property {string[]} suites
 * @property {string[]} components
 * @property {Record<string, string>} options  deb822 field name to raw value
 */

/** How one-line options are called in deb822; only those that decide whether a mirror can be read and trusted. */
const OPTION_FIELDS = {
  arch: 'Architectures',
  'signed-by': 'Signed-By',
  trusted: 'Trusted',
  'allow-insecure': 'Allow-Insecure',
  'check-valid-until': 'Check-Valid-Until',
}

/** @returns {AptSource[]} */
export function parseSources(text, file) {
  const clean = text.replace(/\r\n/g, '\n')
  return file.endsWith('.sources') ? parseDeb822(clean) : clean.split('\n').flatMap(parseLine)
}

function parseDeb822(text) {
  const stanzas = text.replace(/^#.*\n?/gm, '').split(/\n[ \t]*\n/)
  return stanzas.map(parseFields).filter(isEnabledBinary).map(fromFields)
}

/** Field names in lower case; continuation lines stay verbatim, as Signed-By may hold a whole key. */
function parseFields(stanza) {
  const fields = {}
  let current = ''
  for (const line of stanza.split('\n')) {
    const field = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line)
    if (field) {
      current = field[1].toLowerCase()
      fields[current] = field[2].trimEnd()
    } else if (current && /^[ \t]/.test(line)) {
      fields[current] += `\n${line}`
    }
  }
  return fields
}

function isEnabledBinary(fields) {
  return words(fields.types).includes('deb') && !/^(no|false|0|off)$/i.test(fields.enabled || 'yes')
}

function fromFields(fields) {
  const options = {}
  for (const name of Object.values(OPTION_FIELDS)) {
    const value = fields[name.toLowerCase()]
    if (value !== undefined) options[name] = value
  }
  return {
    uris: words(fields.uris),
    suites: words(fields.suites),
    components: words(fields.components),
    options,
  }
}

function parseLine(line) {
  const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line)
  if (!match) return []
  const options = {}
  for (const [, name, value] of (match[1] || '').matchAll(/([a-z-]+)=(\S+)/g)) {
    const field = OPTION_FIELDS[name]
    if (field) options[field] = value.split(',').join(' ')
  }
  return [{ uris: [match[2]], suites: [match[3]], components: words(match[4]), options }]
}

function words(text) {
  return (text || '').split(/\s+/).filter(Boolean)
}

export function hasSuite(sources, suite) {
  return sources.some((source) => source.suites.includes(suite))
}

/**
 * The entry by which apt already reads the distribution's own archive, or undefined.
 * Other vendors' archives also call their suites after the release, so the likeliest entry wins, not the first.
 * @param {AptSource[]} sources
 * @returns {AptSource | undefined}
 */
export function archiveSource(sources, codename) {
  const updates = new Set(
    sources
      .filter((source) => source.suites.includes(`${codename}-updates`))
      .flatMap((source) => source.uris),
  )
  const likelihood = (source) =>
    (source.uris.some((uri) => updates.has(uri)) ? 2 : 0) +
    (source.uris.some((uri) => /\/debian\/?$/.test(uri)) ? 1 : 0) +
    (/debian-archive/.test(source.options['Signed-By'] || '') ? 1 : 0)
  return sources
    .filter((source) => source.suites.includes(codename) && source.components.includes('main'))
    .map((source) =>
      Object.assign({}, source, { uris: source.uris.filter((uri) => !uri.startsWith('cdrom:')) }),
    )
    .filter((source) => source.uris.length > 0)
    .sort((a, b) => likelihood(b) - likelihood(a))[0]
}

/** A .sources file for the backports of `codename` on the mirror of `source`. */
export function backportsSource(source, codename) {
  return [
    '# Written by the set-up of Tabhopper: Mesa 25 or newer, for its software Vulkan adapter.',
    'Types: deb',
    `URIs: ${source.uris.join(' ')}`,
    `Suites: ${codename}-backports`,
    'Components: main',
    ...Object.entries(source.options).map(
      ([name, value]) => `${name}:${value.startsWith('\n') ? '' : ' '}${value}`,
    ),
    '',
  ].join('\n')
}
