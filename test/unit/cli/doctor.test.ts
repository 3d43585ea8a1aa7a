// doctor: which drivers it finds, what it makes of each probe, and what it advises. No driver is loaded.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { adviseOn, type Findings } from '../../../src/cli/doctor/advice.ts'
import { findCards, findDistribution, findDrivers } from '../../../src/cli/doctor/drivers.ts'
import { runCli } from '../../../src/cli/program.ts'
import { fakeDeps, probeOf, run } from './fakes.ts'

function fileTree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'tabhopper-doctor-'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const lvp = '/usr/share/vulkan/icd.d/lvp_icd.json'
const radeon = '/usr/share/vulkan/icd.d/radeon_icd.json'
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json'
const tree = fileTree({
  [lvp]: '{}',
  [radeon]: '{}',
  '/usr/share/vulkan/icd.d/readme.txt': '',
  '/home/someone/.local/share/vulkan/icd.d/own.json': '{}',
  [swiftshader]: '{}',
  '/opt/gpu.json': '{}',
  '/etc/os-release': 'ID=debian\nVERSION_CODENAME=bookworm\n',
  '/sys/bus/pci/devices/0000:00:01.0/class': '0x030200\n',
  '/sys/bus/pci/devices/0000:00:01.0/vendor': '0x10de\n',
  '/sys/bus/pci/devices/0000:00:02.0/class': '0x020000\n',
  '/sys/bus/pci/devices/0000:00:02.0/vendor': '0x8086\n',
})

afterAll(() => rmSync(tree, { recursive: true }))

describe('the search for drivers', () => {
  const { machine } = fakeDeps({ fileRoot: tree })

  it('finds manifests, the loader’s own first', async () => {
    expect(await findDrivers(machine, {})).toEqual([
      { path: lvp, name: 'lvp_icd.json', isDefault: true },
      { path: radeon, name: 'radeon_icd.json', isDefault: true },
      { path: '/home/someone/.local/share/vulkan/icd.d/own.json', name: 'own.json', isDefault: true },
      { path: swiftshader, name: 'vk_swiftshader_icd.json', isDefault: false },
    ])
  })

  it('heeds the variables that replace the search', async () => {
    const drivers = await findDrivers(machine, { VK_ICD_FILENAMES: `/opt/gpu.json:${radeon}:/gone.json` })
    expect(drivers.filter(({ isDefault }) => isDefault).map(({ path }) => path)).toEqual([
      '/opt/gpu.json',
      radeon,
    ])
    expect(drivers).toHaveLength(5)
  })

  it('takes a variable at its word when it names nothing', async () => {
    const drivers = await findDrivers(machine, { VK_DRIVER_FILES: '/gone.json' })
    expect(drivers.some(({ isDefault }) => isDefault)).toBe(false)
    expect(drivers).toHaveLength(4)
  })

  it('finds graphics cards and the distribution', async () => {
    expect(await findCards(machine)).toEqual(['NVIDIA'])
    expect(await findDistribution(machine)).toEqual({ id: 'debian', like: '', codename: 'bookworm' })
  })

  it('finds nothing where Vulkan is not the way', async () => {
    const mac = { ...machine, platform: 'darwin' }
    expect(await findDrivers(mac, {})).toEqual([])
    expect(await findCards(mac)).toEqual([])
  })
})

describe('doctor', () => {
  const software = probeOf('llvmpipe', true, ['shader-f16', 'subgroups'])
  const probes = {
    '': software,
    [lvp]: software,
    [radeon]: { stdout: 'null', stderr: 'Error: Loader Message: Failed to detect any valid GPUs' },
    '/home/someone/.local/share/vulkan/icd.d/own.json': { exitCode: undefined, exitSignal: 'SIGSEGV' },
    [swiftshader]: { isTimedOut: true, exitCode: undefined, exitSignal: 'SIGKILL' },
  }

  it('tells as JSON what each driver did', async () => {
    const { code, out, err } = await run(['doctor', '--json'], { probes, fileRoot: tree })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const document = JSON.parse(out)
    expect(document).toMatchObject({
      version: '1.2.3',
      platform: 'linux-x64',
      adapter: { description: 'llvmpipe', isSoftware: true, limits: { maxBufferSize: 2 ** 32 } },
      why: 'the only installed driver with a device that Dawn accepts',
      warning: 'Software: it runs on CPU cores, with right answers but slowly.',
      cards: ['NVIDIA'],
    })
    expect(document.drivers).toMatchObject([
      { path: lvp, status: 'accepted', isUsed: true },
      { path: radeon, status: 'noDevice', isUsed: false },
      { status: 'crashed', reason: 'SIGSEGV' },
      { path: swiftshader, status: 'timeout', isDefault: false },
    ])
  })

  it('tells the same to a person', async () => {
    const { out } = await run(['doctor'], { probes, fileRoot: tree })
    expect(out).toContain('! llvmpipe\n  the only installed driver')
    expect(out).toMatch(/shader-f16 +yes +one binding +128 MiB/)
    expect(out).toMatch(/subgroups +yes, 8 wide/)
    expect(out).toMatch(/● lvp_icd\.json +software, used +llvmpipe\n/)
    expect(out).toMatch(/· +radeon_icd\.json +no device/)
    expect(out).toMatch(/✗ own\.json +crashed +SIGSEGV\n/)
    expect(out).toMatch(/✗ +vk_swiftshader_icd\.json +no answer in 20 s/)
    expect(out).toContain('There is an NVIDIA card.')
  })

  it.each([40, 80])('keeps within %i columns, except for commands', async (columns) => {
    const stuck = { stdout: 'null', stderr: `Warning: ${'adapter is missing a feature, '.repeat(5)}` }
    const fake = fakeDeps({ probes: { ...probes, [radeon]: stuck }, fileRoot: tree })
    Object.assign(fake.stdout, { columns })
    expect(await runCli(['doctor'], fake)).toBe(0)
    const lines = fake.stdout.text.split('\n').filter((line) => !line.startsWith('    '))
    expect(lines.length).toBeGreaterThan(15)
    expect(lines.filter((line) => line.length > columns)).toEqual([])
  })

  it('exits with 1 and commands to copy when there is no adapter', async () => {
    const { code, out, err } = await run(['doctor'], { fileRoot: tree })
    expect({ code, err }).toEqual({ code: 1, err: '' })
    expect(out).toContain('✗ No WebGPU adapter')
    expect(out).toContain(
      '    sudo apt-get install --no-install-recommends -t bookworm-backports libvulkan1 mesa-vulkan-drivers\n',
    )
  })

  it('tells a driver that Dawn refused from one without a device', async () => {
    const refused = { stdout: 'null', stderr: 'Warning: adapter is missing a feature\nmore' }
    const { out } = await run(['doctor', '--json'], { probes: { [lvp]: refused }, fileRoot: tree })
    expect(JSON.parse(out).drivers[0]).toMatchObject({
      status: 'refused',
      reason: 'Warning: adapter is missing a feature',
    })
  })

  it('prints null from the child when there is no adapter', async () => {
    expect(await run(['doctor', '--probe'])).toMatchObject({ code: 0, out: 'null\n' })
  })
})

describe('advice', () => {
  const { machine } = fakeDeps()
  const base: Findings = {
    machine,
    cards: [],
    distribution: { id: 'ubuntu', like: 'debian', codename: 'noble' },
    adapter: 'none',
    pathVariable: undefined,
    strayDriver: undefined,
  }
  const commands = (findings: Partial<Findings>): string[] =>
    adviseOn({ ...base, ...findings }).flatMap(({ commands }) => commands)

  it('is silent about a hardware adapter', () => {
    expect(adviseOn({ ...base, adapter: 'hardware' })).toEqual([])
  })

  it('installs from the distribution, as root without sudo', () => {
    const install = 'apt-get install --no-install-recommends libvulkan1 mesa-vulkan-drivers'
    expect(commands({})).toEqual(['sudo apt-get update', `sudo ${install}`])
    expect(commands({ machine: { ...machine, isRoot: true } })).toEqual(['apt-get update', install])
  })

  it('knows other distributions', () => {
    const fedora = { id: 'fedora', like: '', codename: '' }
    expect(commands({ distribution: fedora })).toEqual(['sudo dnf install mesa-vulkan-drivers vulkan-loader'])
  })

  it('names what hides drivers, and drivers that are there already', () => {
    expect(commands({ pathVariable: 'VK_DRIVER_FILES' })[0]).toBe('unset VK_DRIVER_FILES')
    expect(commands({ pathVariable: 'VK_DRIVER_FILES', strayDriver: '/x.json' })).toHaveLength(1)
    expect(commands({ strayDriver: '/x.json' })).toContain('export VK_DRIVER_FILES=/x.json')
  })

  it('says what hardware needs when only software is there', () => {
    const [general] = adviseOn({ ...base, adapter: 'software' })
    expect(general!.text).toContain('Vulkan and EGL libraries')
    const [amd] = adviseOn({ ...base, adapter: 'software', cards: ['AMD'] })
    expect(amd!.text).toContain('card by AMD')
  })

  it('has no packages for macOS and Windows', () => {
    expect(commands({ machine: { ...machine, platform: 'win32' } })).toEqual([])
  })
})
