// What commands need from the outside world. src/cli.ts gives the real things, unit tests give fakes.
// Types only.

import type { LoadedModel } from '../api/model.ts'
import type { Engine, EngineOptions, ModelCache, ModelOptions } from '../api/types.ts'
import type { AdapterInfo, Device } from '../device/device.ts'
import type { Capabilities } from '../plan/types.ts'

export type { LoadedModel }

export type DeviceName = 'webgpu' | 'reference'

export interface CreateEngineOptions extends EngineOptions, ModelOptions {
  /** A directory, a .gguf file, a URL, a hub id, or the name of an embedded model. */
  model: string
  device?: DeviceName
  /** Part of an adapter's name. */
  adapter?: string
}

/** What benchmarks run on. */
export interface BenchDevice {
  readonly device: Device
  /** The same device below our interface, for probes that need no plan. */
  readonly gpu: GPUDevice
  readonly availableMemoryBytes: number
  /** Of the last minute: other work on the machine makes every figure worse. */
  readonly loadAverage: () => number
}

/** An adapter that Dawn offers, before a device is made of it. */
export interface AdapterProbe {
  readonly info: AdapterInfo
  readonly limits: Readonly<Record<string, number>>
  readonly languageFeatures: readonly string[]
  readonly capabilities: Capabilities
}

export interface ChildResult {
  /** undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly exitSignal: string | undefined
  readonly isTimedOut: boolean
  readonly stdout: string
  readonly stderr: string
}

export type InputStream = NodeJS.ReadableStream & { isTTY?: boolean }
export type OutputStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
export type Environment = Readonly<Record<string, string | undefined>>

/** The machine, as far as advice depends on it. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly nodeVersion: string
  readonly isRoot: boolean
  readonly home: string
  /** Put before absolute paths that are searched; empty except in tests. */
  readonly fileRoot: string
}

export interface CliDeps {
  readonly version: string
  readonly machine: Machine
  readonly env: Environment
  readonly stdin: InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly createEngine: (options: CreateEngineOptions) => Promise<Engine>
  readonly openModel: (model: string, options: ModelOptions) => Promise<LoadedModel>
  /** The weight cache on disk. */
  readonly modelCache: () => Promise<ModelCache>
  /** The adapter that Dawn picks; undefined if it accepts none. */
  readonly probeAdapter: () => Promise<AdapterProbe | undefined>
  /** A device for measuring; throws device/adapter. */
  readonly openBenchDevice: (adapter: string | undefined) => Promise<BenchDevice>
  /** Runs this program in another process, with `env` added to the environment. */
  readonly runChild: (
    args: readonly string[],
    env: Environment,
    timeoutMs: number,
    signal: AbortSignal,
  ) => Promise<ChildResult>
  /** Calls back on Ctrl-C until the returned function is called. */
  readonly onInterrupt: (listener: () => void) => () => void
  /** Ends the process without waiting for anything. */
  readonly exit: (code: number) => void
}

/** What a running command sees. */
export interface CommandContext extends CliDeps {
  /** Of the command, such as `--model`. */
  readonly flags: readonly string[]
  /** Fires on Ctrl-C and when nobody reads stdout any more. */
  readonly signal: AbortSignal
  /** Sends Ctrl-C to `listener` instead of `signal` until the returned function is called. */
  readonly takeInterrupts: (listener: () => void) => () => void
}

/** Makes a commander action of a command's body, whose number is the exit code. */
export type Runner = <Options>(
  body: (options: Options, context: CommandContext) => Promise<number | void>,
) => (options: Options) => Promise<void>
