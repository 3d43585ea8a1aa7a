// The set-up's decisions (scripts/setup): reading apt's sources and policy, and which commands a machine gets.
import { describe, expect, it } from 'vitest'
// @ts-expect-error plain JavaScript: the set-up runs before anything is built
import * as decide from '../../scripts/setup/decide.mjs'
// @ts-expect-error plain JavaScript
import { packagesMatch } from '../../scripts/setup/project.mjs'
// @ts-expect-error plain JavaScript
import { complaint } from '../../scripts/setup/run.mjs'
// @ts-expect-error plain JavaScript
import { archiveSource, backportsSource, hasSuite, parseSources } from '../../scripts/setup/sources.mjs'

const DEB822 = `Types: deb
# a comment between fields
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`

const STOCK = `mesa-vulkan-drivers:
  Installed: (none)
  Candidate: 22.3.6-1+deb12u2
  Version table:
     22.3.6-1+deb12u2 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
`

const WITH_BACKPORTS = `mesa-vulkan-drivers:
  Installed: 22.3.6-1+deb12u2
  Candidate: 22.3.6-1+deb12u2
  Version table:
     25.0.7-2~bpo12+1 100
        100 http://mirror.example/debian bookworm-backports/main amd64 Packages
 *** 22.3.6-1+deb12u2 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
`

const BOOKWORM = { id: 'debian', version: '12', codename: 'bookworm', family: 'debian' }
const TRIXIE = { id: 'debian', version: '13', codename: 'trixie', family: 'debian' }
const JAMMY = { id: 'ubuntu', version: '22.04', codename: 'jammy', family: 'ubuntu' }
const NOTHING_KNOWN = decide.parsePolicy('')
const SOURCES = parseSources(DEB822, 'debian.sources')
const FILE = '/etc/apt/sources.list.d/tabhopper-backports.sources'

describe('apt sources', () => {
  it('reads deb822 stanzas', () => {
    expect(SOURCES).toEqual([
      {
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main'],
        options: { 'Signed-By': '/usr/share/keyrings/debian-archive-keyring.gpg' },
      },
      {
        uris: ['http://mirror.example/debian-security'],
        suites: ['bookworm-security'],
        components: ['main'],
        options: {},
      },
    ])
  })

  it('leaves out disabled and source-only stanzas', () => {
    const text = `${DEB822}Enabled: no\n\nTypes: deb-src\nURIs: http://a.example\nSuites: bookworm\nComponents: main\n`
    expect(parseSources(text, 'x.sources')).toHaveLength(1)
  })

  it('reads field names in any case and Windows line ends', () => {
    const text = 'types: deb\r\nuris: http://a.example/debian\r\nSUITES: bookworm\r\ncomponents: main\r\n'
    expect(parseSources(text, 'x.sources')[0].uris).toEqual(['http://a.example/debian'])
  })

  it('keeps a key written into Signed-By, line for line', () => {
    const key = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----'
    const text = `Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:${key}\n`
    const source = parseSources(text, 'x.sources')[0]
    expect(backportsSource(source, 'bookworm')).toContain(`Signed-By:${key}\n`)
  })

  it('reads one-line entries with options, comments and deb-src beside them', () => {
    const text = [
      '# deb http://off.example/debian bookworm main',
      'deb-src http://a.example/debian bookworm main',
      'deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/k.gpg] http://a.example/debian/ bookworm main contrib # why',
    ].join('\n')
    expect(parseSources(text, 'sources.list')).toEqual([
      {
        uris: ['http://a.example/debian/'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        options: { Architectures: 'amd64 arm64', 'Signed-By': '/usr/share/keyrings/k.gpg' },
      },
    ])
  })

  it("takes the distribution's archive among vendors that name their suites alike", () => {
    const vendor = parseSources('deb https://apt.vendor.example bookworm main', 'a.list')
    const disc = parseSources('deb cdrom:[Debian]/ bookworm main', 'sources.list')
    expect(archiveSource([...disc, ...vendor, ...SOURCES], 'bookworm').uris).toEqual([
      'http://mirror.example/debian',
    ])
    expect(archiveSource(disc, 'bookworm')).toBeUndefined()
    expect(archiveSource(SOURCES, 'trixie')).toBeUndefined()
  })

  it('writes backports that it finds again', () => {
    const text = backportsSource(archiveSource(SOURCES, 'bookworm'), 'bookworm')
    const [written] = parseSources(text, FILE)
    expect(written.uris).toEqual(['http://mirror.example/debian'])
    expect(written.options).toEqual({ 'Signed-By': '/usr/share/keyrings/debian-archive-keyring.gpg' })
    expect(hasSuite([written], 'bookworm-backports')).toBe(true)
  })
})

describe('the machine', () => {
  it.each([
    ['20.18.9', false],
    ['18.1.0', false],
    ['20.19.0', true],
    ['22.0.0', true],
  ])('Node %s: %s', (version, expected) => {
    expect(decide.nodeIsSupported(version)).toBe(expected)
  })

  it('knows distributions and their relatives', () => {
    const debian = 'PRETTY_NAME="Debian 12"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
    expect(decide.parseOsRelease(debian)).toEqual(BOOKWORM)
    expect(decide.parseOsRelease('ID=linuxmint\nID_LIKE="ubuntu debian"\n').family).toBe('ubuntu')
    expect(decide.parseOsRelease('ID=rocky\nID_LIKE="rhel centos fedora"\n').family).toBe('fedora')
    expect(decide.parseOsRelease('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n').family).toBe('suse')
    expect(decide.parseOsRelease('').family).toBe('')
  })

  it('reads the policy of a package', () => {
    expect(decide.parsePolicy(STOCK)).toEqual({
      installed: '',
      candidate: '22.3.6-1+deb12u2',
      versions: [{ version: '22.3.6-1+deb12u2', suites: ['bookworm'] }],
    })
    expect(decide.parsePolicy(WITH_BACKPORTS)).toEqual({
      installed: '22.3.6-1+deb12u2',
      candidate: '22.3.6-1+deb12u2',
      versions: [
        { version: '25.0.7-2~bpo12+1', suites: ['bookworm-backports'] },
        { version: '22.3.6-1+deb12u2', suites: ['bookworm'] },
      ],
    })
    expect(NOTHING_KNOWN).toEqual({ installed: '', candidate: '', versions: [] })
  })

  it.each([
    ['25.0.7-2~bpo12+1', true],
    ['1:25.2.0', true],
    ['22.3.6-1+deb12u2', false],
    ['', false],
  ])('Mesa %j new enough: %s', (version, expected) => {
    expect(decide.isNewMesa(version)).toBe(expected)
  })

  it('installs only as root, only on Debian and Ubuntu', () => {
    const machine = { root: true, apt: true, os: BOOKWORM }
    expect(decide.mayInstall(machine)).toBe(true)
    expect(decide.mayInstall({ ...machine, root: false })).toBe(false)
    expect(decide.mayInstall({ ...machine, apt: false })).toBe(false)
    expect(decide.mayInstall({ ...machine, os: { ...JAMMY, id: 'linuxmint' } })).toBe(false)
  })
})

describe('where Mesa comes from', () => {
  it('adds the backports of the mirror in use on Debian 12', () => {
    const plan = decide.mesaPlan(BOOKWORM, decide.parsePolicy(STOCK), SOURCES)
    expect(plan.target).toBe('bookworm-backports')
    expect(plan.source).toContain('URIs: http://mirror.example/debian\n')
    expect(plan.source).toContain('Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n')
  })

  it('uses backports that are there, known to apt or not yet', () => {
    const target = 'bookworm-backports'
    expect(decide.mesaPlan(BOOKWORM, decide.parsePolicy(WITH_BACKPORTS), SOURCES)).toEqual({ target })
    const configured = parseSources('deb http://a.example/debian bookworm-backports main', 'b.list')
    expect(decide.mesaPlan(BOOKWORM, NOTHING_KNOWN, configured)).toEqual({ target })
  })

  it('needs nothing extra where the candidate is new', () => {
    const policy = decide.parsePolicy(STOCK.replaceAll('22.3.6', '25.0.7'))
    for (const os of [BOOKWORM, TRIXIE, JAMMY]) expect(decide.mesaPlan(os, policy, SOURCES)).toEqual({})
    expect(decide.mesaPlan(TRIXIE, NOTHING_KNOWN, [])).toEqual({})
  })

  it('says why where there is no way', () => {
    expect(decide.mesaPlan(BOOKWORM, decide.parsePolicy(STOCK), [])).toEqual({ blocked: 'mirror' })
    expect(decide.mesaPlan(JAMMY, decide.parsePolicy(STOCK), [])).toEqual({ blocked: 'release' })
    const bullseye = { ...BOOKWORM, version: '11', codename: 'bullseye' }
    expect(decide.mesaPlan(bullseye, NOTHING_KNOWN, SOURCES)).toEqual({ blocked: 'release' })
  })
})

describe('commands to run by hand', () => {
  const user = { root: false, apt: true }
  const install = 'sudo apt-get install --no-install-recommends'

  it('on Debian 12 write the source, then install from it', () => {
    const plan = decide.mesaPlan(BOOKWORM, decide.parsePolicy(STOCK), SOURCES)
    expect(decide.mesaCommands({ ...user, os: BOOKWORM }, plan, FILE)).toEqual([
      `sudo tee ${FILE} <<'END'\n${plan.source}END`,
      'sudo apt-get update',
      `${install} -t bookworm-backports libvulkan1 mesa-vulkan-drivers`,
    ])
  })

  it('name the public archive where no mirror is configured', () => {
    const commands = decide.mesaCommands({ ...user, os: BOOKWORM }, { blocked: 'mirror' }, FILE)
    expect(commands[0]).toContain("echo 'deb http://deb.debian.org/debian bookworm-backports main'")
    expect(commands[0]).toContain('/tabhopper-backports.list')
  })

  it('on an old Ubuntu add the PPA', () => {
    const commands = decide.mesaCommands({ ...user, os: JAMMY }, { blocked: 'release' }, FILE)
    expect(commands).toContain('sudo add-apt-repository ppa:kisak/kisak-mesa')
    expect(commands.at(-1)).toBe(`${install} libvulkan1 mesa-vulkan-drivers`)
  })

  it.each([
    ['fedora', 'sudo dnf install mesa-vulkan-drivers vulkan-loader', 'sudo dnf install chromium'],
    ['arch', 'sudo pacman -S vulkan-swrast vulkan-icd-loader', 'sudo pacman -S chromium'],
    ['suse', 'sudo zypper install libvulkan_lvp libvulkan1', 'sudo zypper install chromium'],
  ])('on %s', (family, mesa, chromium) => {
    const machine = { root: false, apt: false, os: { id: family, version: '', codename: '', family } }
    expect(decide.mesaCommands(machine, {}, FILE)).toEqual([mesa])
    expect(decide.chromiumCommands(machine)).toEqual([chromium])
  })

  it('leave sudo out for root, and name none for an unknown system', () => {
    expect(decide.chromiumCommands({ root: true, os: BOOKWORM })[0]).toBe('apt-get update')
    expect(decide.mesaCommands({ root: true, os: decide.parseOsRelease('ID=void') }, {}, FILE)).toEqual([])
  })
})

describe('npm packages', () => {
  const here = () => true
  const linux = (wanted: object, installed: object, isThere = here): boolean =>
    packagesMatch(wanted, installed, 'linux', 'x64', isThere)
  const a = { version: '1.0.0', integrity: 'sha512-a' }
  const native = { version: '1.0.0', integrity: 'sha512-n', optional: true, os: ['darwin'] }

  it('match their lock file', () => {
    expect(linux({ '': {}, 'node_modules/a': a }, { 'node_modules/a': a })).toBe(true)
    expect(linux({ 'node_modules/a': a, 'node_modules/n': native }, { 'node_modules/a': a })).toBe(true)
  })

  it('are missing, other, too many, deleted or of another platform', () => {
    expect(linux({ 'node_modules/a': a }, {})).toBe(false)
    expect(linux({ 'node_modules/a': a }, { 'node_modules/a': { ...a, version: '1.0.1' } })).toBe(false)
    expect(linux({}, { 'node_modules/a': a })).toBe(false)
    expect(linux({ 'node_modules/a': a }, { 'node_modules/a': a }, () => false)).toBe(false)
    expect(linux({ 'node_modules/n': native }, { 'node_modules/n': native })).toBe(false)
  })
})

it('complains in the form of the project', () => {
  expect(complaint('setup/node', 'node', '≥ 20.19', '18.1', 'Install Node 20 or newer.')).toBe(
    '[setup/node] node: expected ≥ 20.19, got 18.1. Install Node 20 or newer.',
  )
})
