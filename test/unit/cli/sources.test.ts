// Flags that say how a model is fetched reach the engine and whatever only opens a model.

import { expect, test } from 'vitest'
import { run } from './fakes.ts'

test('are passed on by generate, and left out where they are not given', async () => {
  const flags = ['--model', 'owner/name', '--revision', 'v1', '--token', 'secret', '--no-cache']
  const { fake } = await run(['generate', '--prompt', 'Hi', ...flags])
  expect(fake.engines[0]).toMatchObject({
    model: 'owner/name',
    revision: 'v1',
    token: 'secret',
    cache: false,
  })
  const { fake: plain } = await run(['generate', '--prompt', 'Hi'])
  for (const key of ['revision', 'token', 'cache']) expect(plain.engines[0]).not.toHaveProperty(key)
})

test('are passed on to the tokenizer of a chat prompt', async () => {
  const { fake } = await run(['generate', '--chat', '--prompt', 'Hi', '--revision', 'v1', '--no-cache'])
  expect(fake.opened[0]).toMatchObject({ revision: 'v1', cache: false })
})

test.each(['--revision', '--token'])('%s wants a value', async (flag) => {
  const { code, err } = await run(['generate', '--prompt', 'Hi', flag, ''])
  expect(code).toBe(2)
  expect(err).toContain(`[cli/usage] ${flag}: expected a`)
})

test('notices of the load are shown on stderr', async () => {
  const { err } = await run(['generate', '--prompt', 'Hi'], { notice: 'The disk is full.' })
  expect(err).toContain('The disk is full.\n')
})
