// The models that come with the package, by name. Not here: where the package lies, which the entry knows.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RuntimeFault } from '../core/errors.ts'
import { isRecord } from '../core/values.ts'
import { nearestName } from '../core/nearest.ts'
import { readLlmSpec } from '../models/index.ts'

/** The folder of an embedded model; undefined if none has the name. */
export function embeddedFolder(modelsDir: string, name: string): string | undefined {
  const folder = join(modelsDir, name)
  return /^[\w-][\w.-]*$/.test(name) && existsSync(folder) ? folder : undefined
}

/** Throws model/unsupported for an embedded model that nothing here runs yet. */
export async function checkEmbedded(modelsDir: string, name: string): Promise<void> {
  const kind = await kindOf(join(modelsDir, name))
  if (kind.isSupported) return
  const names = await supportedNames(modelsDir)
  throw new RuntimeFault('model/unsupported', {
    where: name,
    expected: `an embedded model that is supported (${names.join(', ')})`,
    got: `a ${kind.className}, which is not supported yet`,
    fix: `Use ${names.join(' or ')}.`,
  })
}

/** What to say of a name that nothing has. */
export async function unknownNameFault(modelsDir: string, name: string): Promise<RuntimeFault> {
  const names = await supportedNames(modelsDir)
  // One that is not supported yet may be meant, too: its own error says more.
  const nearest = nearestName(name, await embeddedNames(modelsDir))
  return new RuntimeFault('weights/missing', {
    where: name,
    expected: `a folder, a file, or an embedded model (${names.join(', ')})`,
    got: 'nothing of that name',
    fix:
      nearest === undefined
        ? 'Check the name; a model of the hub is owner/name.'
        : `Did you mean ${nearest}?`,
  })
}

async function embeddedNames(modelsDir: string): Promise<string[]> {
  return (await readdir(modelsDir).catch((): string[] => [])).sort()
}

async function supportedNames(modelsDir: string): Promise<string[]> {
  const folders = await embeddedNames(modelsDir)
  const kinds = await Promise.all(folders.map((name) => kindOf(join(modelsDir, name))))
  return folders.filter((_, index) => kinds[index]!.isSupported)
}

interface Kind {
  /** Of transformers or diffusers. */
  readonly className: string
  readonly isSupported: boolean
}

async function kindOf(folder: string): Promise<Kind> {
  const config = await readObject(join(folder, 'config.json'))
  const index = await readObject(join(folder, 'model_index.json'))
  const [architecture] = Array.isArray(config?.['architectures']) ? config['architectures'] : []
  return {
    className: String(architecture ?? index?.['_class_name'] ?? 'model'),
    isSupported: config !== undefined && isLlm(config),
  }
}

function isLlm(config: Record<string, unknown>): boolean {
  try {
    readLlmSpec(config)
    return true
  } catch (error) {
    if (error instanceof RuntimeFault) return false
    throw error
  }
}

async function readObject(file: string): Promise<Record<string, unknown> | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const value: unknown = text === undefined ? undefined : JSON.parse(text)
  return isRecord(value) ? value : undefined
}
