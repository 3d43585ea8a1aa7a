// The built pages as `npm start` serves them, and a browser to look at them. Not here: what a page does.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser } from 'playwright-core'
import { build } from 'vite'

export const projectRoot: string = fileURLToPath(new URL('../..', import.meta.url))
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

export interface Demo {
  readonly browser: Browser
  /** Of the page. */
  readonly url: string
  /** For files of a test; goes with the demo. */
  readonly folder: string
  readonly close: () => Promise<void>
}

export async function openDemo(
  page: 'chat' | 'inspector',
  browserFlags: readonly string[] = [],
): Promise<Demo> {
  const folder = await mkdtemp(join(tmpdir(), `tabhopper-${page}-`))
  const outDir = join(folder, 'demo')
  await build({ configFile: join(projectRoot, 'demo/vite.config.ts'), logLevel: 'error', build: { outDir } })
  const options = ['--root', outDir, '--port', '0', '--no-open']
  const server = spawn(process.execPath, [join(projectRoot, 'scripts/serve.mjs'), ...options])
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    server.stdout?.on('data', (chunk) => {
      output += String(chunk)
      const address = new RegExp(`http:\\S+/${page}/`).exec(output)?.[0]
      if (address !== undefined) resolve(address)
    })
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
  })
  const browser = await chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', ...browserFlags],
  })
  return {
    browser,
    url,
    folder,
    async close() {
      await browser.close()
      server.kill('SIGINT')
      await rm(folder, { recursive: true })
    },
  }
}
