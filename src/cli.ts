#!/usr/bin/env node
// The entry of the command line: wires the real engine, Dawn and the process into src/cli, and ends the process.

import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from './cli/children.ts'
import type { AdapterProbe, CliDeps } from './cli/deps.ts'
import { runCli } from './cli/program.ts'
import { write } from './cli/terminal.ts'

const script = fileURLToPath(import.meta.url)
const packageFile = join(dirname(script), '..', 'package.json')
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }

/** Loaded when needed: help must not wait for a driver, nor fail without one. */
const probeAdapter = async (): Promise<AdapterProbe | undefined> => {
  const { probeAdapter } = await import('./cli/dawnProbe.ts')
  return probeAdapter()
}

const deps: CliDeps = {
  version,
  machine: {
    platform: process.platform,
    arch: process.arch,
    nodeVersion: process.versions.node,
    isRoot: process.getuid?.() === 0,
    home: homedir(),
    fileRoot: '',
  },
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  createEngine: async (options) => (await import('./node.ts')).createEngine(options),
  openModel: async (model, options) => (await import('./node.ts')).openModel(model, options),
  modelCache: async () => (await import('./node.ts')).modelCache(),
  probeAdapter,
  openBenchDevice: async (adapter) => (await import('./cli/benchDevice.ts')).openBenchDevice(adapter),
  runChild: (...args) => runChild(script, ...args),
  onInterrupt(listener) {
    process.on('SIGINT', listener)
    return () => process.off('SIGINT', listener)
  },
  exit: (code) => process.exit(code),
}

const exitCode = await runCli(process.argv.slice(2), deps)
await Promise.all([write(process.stdout, ''), write(process.stderr, '')])
// Dawn keeps its own threads and timers alive.
process.exit(exitCode)
