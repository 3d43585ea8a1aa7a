// What an engine tells without failing: messages that a chat template leaves out, in the thread and through workers; and
// listeners that throw.

import { expect, test, vi } from 'vitest'
import type { Engine } from '../../../src/api/types.ts'
import { createEngine } from '../../../src/node.ts'
import { pair } from '../worker/pairs.ts'
import { openEngine, upperTemplate } from './models.ts'

/** Leaves system messages out. */
const noSystem = upperTemplate.replace(
  '{{ message.role',
  '{% if message.role == "system" %}{% continue %}{% endif %}{{ message.role',
)
/** Has a system message of its own. */
const ownSystem = `{% if messages[0].role != 'system' %}SYSTEM: A\n{% endif %}${upperTemplate}`

const system = { role: 'system', content: 'A' }
const user = { role: 'user', content: 'B' }

const ask = (engine: Engine, ...messages: { role: string; content: string }[]): Promise<unknown> =>
  engine.chat.completions.create({ messages, max_tokens: 1 })

const leftOut =
  'The chat template of this model leaves out messages of role system: the answers do not depend on them.'

test.each<[string, string, string[]]>([
  ['leaves it out', noSystem, [leftOut]],
  ['prints it', upperTemplate, []],
  ['would print the same of its own', ownSystem, []],
])('a template that %s', async (_, chatTemplate, expected) => {
  const notices: string[] = []
  const options = { onNotice: (notice: string) => void notices.push(notice) }
  await using engine = await openEngine({ chatTemplate, options })
  await ask(engine, user)
  await ask(engine, { ...system, content: ' ' }, user)
  expect(notices).toEqual([])
  await ask(engine, system, user)
  await ask(engine, system, user)
  await engine.countTokens([system, user])
  expect(notices).toEqual(expected)
})

test('notices after the load come through a worker, to every tab that shares it', async () => {
  const { connect, openTab, closeTabs } = pair({}, (_, options) =>
    openEngine({ chatTemplate: noSystem, options }),
  )
  const notices: string[] = []
  const load = (tab: string): { maxSeqLen: number; onNotice: (notice: string) => void } => ({
    maxSeqLen: 64,
    onNotice: (notice) => void notices.push(`${tab}: ${notice}`),
  })
  const engines = [await connect('gqa', load('first')), await openTab().connect('gqa', load('second'))]
  await ask(engines[0]!, system, user)
  await vi.waitFor(() => expect(notices.sort()).toEqual([`first: ${leftOut}`, `second: ${leftOut}`]))
  for (const engine of engines) await engine.dispose()
  closeTabs()
})

test('listeners that throw fail neither a load nor a request', async () => {
  const shownErrors = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const fail = (): never => {
    throw new RangeError('mine')
  }
  await using engine = await createEngine({
    model: 'tiny-llama',
    device: 'reference',
    maxSeqLen: 32,
    onProgress: fail,
    onNotice: fail,
  })
  const told = shownErrors.mock.calls.length
  expect(told).toBeGreaterThan(0)
  await ask(engine, system, user)
  expect(shownErrors.mock.calls.length).toBe(told + 1)
  expect(shownErrors.mock.calls.at(-1)).toEqual([new RangeError('mine')])
  shownErrors.mockRestore()
})
