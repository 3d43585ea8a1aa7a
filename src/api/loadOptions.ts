// Checks of what a load is given, before anything is opened. Not here: ranges, which depend on the model (model.ts).

import { isRecord } from '../core/values.ts'
import { tell } from '../core/tell.ts'
import { checkOptionNames } from './fields.ts'
import { checkSignal, checkTypes, inputFault, withoutNulls } from './options.ts'
import type { EngineOptions, ModelOptions, ModelSource } from './types.ts'

/**
 * The options without what is null, which is as left out, and with listeners that cannot fail the load. Throws engine/input for those of a wrong type and for
 * those that there are not.
 */
export function checkLoadOptions<T extends EngineOptions & ModelOptions>(options: T): T {
  const isObject: boolean = isRecord(options)
  if (!isObject) throw inputFault('options', 'an object', options)
  checkTypes(options, 'function', ['onProgress', 'onNotice', 'onEvent'])
  checkTypes(options, 'string', ['revision', 'token'])
  checkTypes(options, 'boolean', ['cache', 'deterministic', 'warmUp'])
  checkSignal(options.signal)
  checkOptionNames(options)
  return withSafeListeners(withoutNulls(options))
}

type Listeners = Pick<EngineOptions & ModelOptions, 'onProgress' | 'onNotice'>

/** The options with listeners that end nothing by what they throw. */
export function withSafeListeners<T extends Listeners>(options: T): T {
  const { onProgress, onNotice } = options
  const safe: Listeners = {}
  if (onProgress !== undefined) safe.onProgress = (progress) => void tell(onProgress, progress)
  if (onNotice !== undefined) safe.onNotice = (message) => void tell(onNotice, message)
  return { ...options, ...safe }
}

/** Throws engine/input for what is no source of a model. */
export function checkModelSource(source: ModelSource): void {
  const isStore = isRecord(source) && typeof source['open'] === 'function'
  if (typeof source === 'string' || isStore || isFiles(source)) return
  throw inputFault('model', 'an address, a hub id, files or a FileStore', source)
}

/** By what is used of a File: those of another document are of another class. */
function isFiles(source: unknown): boolean {
  const isList = typeof source === 'object' && source !== null && 'length' in source
  const isFile = (file: unknown): boolean =>
    typeof file === 'object' && file !== null && 'name' in file && 'slice' in file
  return isList && Array.from(source as ArrayLike<unknown>).every(isFile)
}
