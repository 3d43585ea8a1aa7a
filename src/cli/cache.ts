// `tabhopper cache list` and `cache delete`: what is kept of models from hubs and servers, and how it goes.

import type { Command } from 'commander'
import type { CachedModel } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { formatBytes } from '../core/units.ts'
import type { CommandContext, Runner } from './deps.ts'
import { usageFault } from './faults.ts'
import { addHelp } from './help.ts'
import { jsonOption } from './options.ts'
import { table, writeJson, writeLine } from './terminal.ts'

interface CacheFlags {
  readonly json?: boolean
}

interface DeleteFlags extends CacheFlags {
  readonly all?: boolean
}

export function addCache(program: Command, run: Runner): void {
  const cache = program.command('cache').description('show or delete models that were fetched and kept')
  cache
    .command('list')
    .description('list the models in the cache, what was used last first')
    .addOption(jsonOption())
    .action(run(list))
  const remove = cache
    .command('delete')
    .description('delete a model, one of its files (<model>/<file>), or with --all everything')
    .argument('[model]', 'a hub id or address, as `cache list` shows it')
    .option('--all', 'delete every model')
    .addOption(jsonOption())
  remove.action(async (model: string | undefined, flags: DeleteFlags) =>
    run<DeleteFlags>((options, context) => deleteModel(model, options, context))(flags),
  )
  addHelp(cache)
}

async function list({ json }: CacheFlags, { modelCache, stdout }: CommandContext): Promise<void> {
  const models = await (await modelCache()).list()
  if (json === true) return writeJson(stdout, models)
  if (models.length === 0) return writeLine(stdout, 'The cache is empty.')
  const rows = models.map((model) => [
    nameOf(model, models),
    formatBytes(model.cachedBytes),
    model.isComplete ? 'whole' : 'in part',
    model.files.some(({ isVerified }) => isVerified) ? 'verified' : '',
    model.lastUsed.toISOString().slice(0, 16).replace('T', ' '),
  ])
  await writeLine(stdout, table([['model', 'size', '', '', 'last used (UTC)'], ...rows], [1]).join('\n'))
}

async function deleteModel(
  model: string | undefined,
  { all: isAll = false, json }: DeleteFlags,
  { modelCache, stdout }: CommandContext,
): Promise<void> {
  if ((model === undefined) !== isAll) {
    throw usageFault(
      'cache delete',
      'a model, or --all',
      model === undefined ? 'neither' : 'both',
      'Give one.',
    )
  }
  const cache = await modelCache()
  const before = await cache.list()
  const freed = await cache.delete(model)
  if (model !== undefined && freed === 0 && numFiles(await cache.list()) === numFiles(before))
    throw unknownFault(model, before)
  if (json === true) return writeJson(stdout, { freedBytes: freed })
  await writeLine(stdout, `Freed ${formatBytes(freed)}.`)
}

/** As `--model` and `cache delete` take it: without `@main` where no other revision could be meant as well. */
function nameOf({ model, revision }: CachedModel, models: readonly CachedModel[]): string {
  const isOnly = models.filter((other) => other.model === model).length === 1
  return revision === undefined || (revision === 'main' && isOnly) ? model : `${model}@${revision}`
}

function numFiles(models: readonly CachedModel[]): number {
  return models.reduce((sum, { files }) => sum + files.length, 0)
}

function unknownFault(where: string, models: readonly CachedModel[]): RuntimeFault {
  return new RuntimeFault('weights/missing', {
    where,
    expected: 'a model in the cache',
    got: models.length === 0 ? 'an empty cache' : models.map((model) => nameOf(model, models)).join(', '),
    fix: 'Give a name as `tabhopper cache list` shows it, or --all.',
  })
}
