// Serves the built demo on this machine, says where, and opens a browser where there is one. Ctrl-C ends it.
// Nothing but Node's own modules; `node scripts/serve.mjs --help` tells the options.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { adapterLine } from './serve/adapter.mjs'
import { browserCommand } from './serve/browser.mjs'
import { createStaticServer, listen } from './serve/static.mjs'

const HELP = `Serves the demo that npm run build made.

  --port <number>   first port to try (default 8080)
  --host <address>  where to listen (default 127.0.0.1: this machine only)
  --root <folder>   what to serve (default dist/demo)
  --no-open         do not open a browser
`

const project = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const colour = (code) => (text) =>
  process.stdout.isTTY && !process.env.NO_COLOR ? `\u001B[${code}m${text}\u001B[0m` : text
const bold = colour(1)
const dim = colour(2)

function options() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      root: { type: 'string', default: path.join(project, 'dist/demo') },
      'no-open': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(
      `[serve/options] --port: expected a number from 0 to 65535, got ${values.port}. Correct it.`,
    )
  }
  return { ...values, port }
}

async function serve({ port, host, root, 'no-open': noOpen }) {
  if (!existsSync(path.join(root, 'chat/index.html'))) {
    throw new Error(
      `[serve/root] ${root}: expected the built demo, got no chat/index.html. Run npm run build.`,
    )
  }
  const server = createStaticServer(root)
  const address = await listen(server, host, port)
  const doctor = spawnDoctor()
  stopOnSignal(server, doctor)
  const base = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
  const url = `${base}/chat/`
  console.log(`${bold('Tabhopper chat')}  ${url}`)
  console.log(`${bold('Inspector')}       ${base}/inspector/`)
  console.log(dim('The model runs in the browser and works offline. Ctrl-C stops the server.'))
  if (!noOpen) open(url)
  const line = await adapterLine(doctor)
  if (line !== undefined) console.log(`${bold('Adapter')}         ${line}`)
}

/** The command line knows how to look at this machine's adapters. */
function spawnDoctor() {
  const cli = path.join(project, 'dist/cli.js')
  if (!existsSync(cli)) return undefined
  return spawn(process.execPath, [cli, 'doctor', '--json'], { stdio: ['ignore', 'pipe', 'ignore'] })
}

function open(url) {
  const command = browserCommand(process.platform, process.env, process.stdout.isTTY)
  if (command === undefined) return
  const child = spawn(command.file, [...command.args, url], { stdio: 'ignore', detached: true })
  // No browser after all: the address is printed.
  child.on('error', () => undefined)
  child.unref()
}

function stopOnSignal(server, doctor) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      doctor?.kill()
      server.close()
      server.closeAllConnections()
      if (process.stdout.isTTY) console.log('\nStopped.')
    })
  }
}

try {
  const chosen = options()
  if (chosen.help) process.stdout.write(HELP)
  else await serve(chosen)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
