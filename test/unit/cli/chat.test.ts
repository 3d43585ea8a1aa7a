// chat: with and without a terminal, its commands, its keys, and conversations that outgrow the context.

import { describe, expect, it } from 'vitest'
import { Conversation } from '../../../src/cli/conversation.ts'
import { runCli } from '../../../src/cli/program.ts'
import { fakeDeps, run, until, type Fake, type Script } from './fakes.ts'

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

describe('chat without a terminal', () => {
  it('answers what is piped in', async () => {
    const { code, out, err, fake } = await run(['chat', '--system', 'Be kind.'], {
      stdin: 'Hi\n',
      answers: ['Hello you'],
    })
    expect({ code, out, err }).toEqual({ code: 0, out: 'Hello you\n', err: '' })
    expect(fake.requests).toMatchObject([
      { messages: [{ role: 'system', content: 'Be kind.' }, user('Hi')], temperature: 0.5 },
    ])
  })

  it('tells a story when nothing is', async () => {
    const { code, fake } = await run(['chat'])
    expect(code).toBe(0)
    expect(fake.requests).toMatchObject([{ messages: [user('Tell me a story about a dog.')] }])
  })

  it('prints one JSON document', async () => {
    const { code, out, fake } = await run(['chat', '--json', '--seed', '3'], {
      stdin: 'Hi\n',
      answers: ['Hello you'],
    })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ model: 'toy', seed: 3, text: 'Hello you', finishReason: 'stop' })
    // Through the template, as without --json.
    expect(fake.requests).toMatchObject([{ prompt: Array.from('u:Hi\n', (c) => c.charCodeAt(0)) }])
  })

  it('wants a question for --json, not a terminal', async () => {
    const { code, err, fake } = await run(['chat', '--json'], { isTTY: true, env: { NO_COLOR: '1' } })
    expect(code).toBe(2)
    expect(err).toMatch(/^\[cli\/usage\] --json: expected a question on stdin, got a terminal\. Pipe one/)
    expect(fake.engines).toEqual([])
  })

  it('refuses a model without a chat template before loading it', async () => {
    const { code, err, fake } = await run(['chat'], { hasTemplate: false })
    expect(code).toBe(1)
    expect(err).toMatch(/^\[text\/template\]/)
    expect(fake.engines).toEqual([])
  })

  it('exits with 130 on Ctrl-C', async () => {
    const fake = fakeDeps({ answers: ['one hang'], stdin: 'Hi' })
    const done = runCli(['chat'], fake)
    await until(() => fake.stdout.text.includes('one'))
    fake.interrupt()
    expect(await done).toBe(130)
  })
})

/** Types each text once the prompt is there again, and ends with Ctrl-D. */
async function converse(script: Script, ...texts: string[]): Promise<Fake> {
  const fake = fakeDeps({ ...script, isTTY: true, env: { NO_COLOR: '1' } })
  const done = runCli(['chat'], fake)
  for (const text of [...texts, '\u0004']) {
    await until(() => fake.stdout.text.endsWith('\u001b[3G'))
    fake.stdout.text += '|'
    fake.stdin.write(text)
  }
  expect(await done).toBe(0)
  expect(fake.closed).toContain('engine')
  return fake
}

describe('chat on a terminal', () => {
  it('shows model and adapter, answers, and keeps the history', async () => {
    const fake = await converse({ answers: ['Hello.', 'Fine.'] }, 'Hi\r', 'How are you?\r')
    expect(fake.stdout.text).toContain('toy f16, 400 tokens of context\nFake GPU\n')
    expect(fake.requests).toMatchObject([
      { messages: [user('Hi')] },
      { messages: [user('Hi'), assistant('Hello.'), user('How are you?')] },
    ])
    expect(fake.stderr.text).toContain('1 token, 250.0 tok/s')
  })

  it('forgets on /reset, helps on /help and unknown commands, leaves on /exit', async () => {
    const fake = await converse({}, 'Hi\r', '/reset\r', '/help\r', '/foo\r', 'Again\r')
    expect(fake.requests).toMatchObject([{ messages: [user('Hi')] }, { messages: [user('Again')] }])
    expect(fake.stdout.text).toContain('Forgotten.')
    expect(fake.stdout.text).toContain('There is no /foo.\n/reset  forget')
    const left = fakeDeps({ isTTY: true })
    left.stdin.write('/exit\r')
    expect(await runCli(['chat'], left)).toBe(0)
    expect(left.requests).toEqual([])
  })

  it('stops an answer on Ctrl-C and goes on; two at an empty prompt leave', async () => {
    const fake = fakeDeps({ answers: ['Well hang'], isTTY: true, env: { NO_COLOR: '1' } })
    const done = runCli(['chat'], fake)
    fake.stdin.write('Hi\r')
    await until(() => fake.stdout.text.includes('Well'))
    fake.stdin.write('\u0003')
    await until(() => fake.stdout.text.includes('(stopped)'))
    const type = async (text: string): Promise<void> => {
      await until(() => fake.stdout.text.endsWith('\u001b[3G'))
      fake.stdout.text += '|'
      fake.stdin.write(text)
    }
    await type('\u0003')
    await until(() => fake.stdout.text.includes('(Ctrl-C again leaves.)\n'))
    // What is typed between them is an answer to the notice.
    await type('/help\r')
    await type('\u0003')
    await type('half a line')
    fake.stdin.write('\u0003')
    await type('\u0003')
    expect(fake.closed).not.toContain('engine')
    await type('\u0003')
    expect(await done).toBe(0)
    expect(fake.closed).toContain('engine')
  })

  it('answers pasted lines one after the other, each below its question', async () => {
    const fake = fakeDeps({ answers: ['One.', 'Two.'], isTTY: true, env: { NO_COLOR: '1' } })
    const done = runCli(['chat'], fake)
    fake.stdin.write('a\rb\r/exit\r')
    expect(await done).toBe(0)
    expect(fake.stdout.text).toMatch(/a\r\nOne\.\n\n> b\nTwo\.\n\n> \/exit\n$/)
  })

  it('drops the oldest turns with a notice when the context is full', async () => {
    const long = 'x'.repeat(80)
    const fake = await converse({ maxSeqLen: 200, answers: [long, 'Short.'] }, `${long}\r`, 'Next\r')
    expect(fake.stdout.text).toContain('(The oldest turn was forgotten: the context is full.)')
    expect(fake.requests.at(-1)).toMatchObject({ messages: [user('Next')] })
  })
})

describe('a conversation', () => {
  const conversation = (maxSeqLen: number): Conversation =>
    new Conversation({
      system: 'S',
      maxSeqLen,
      reserve: 10,
      countTokens: (messages) => messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0),
    })

  it('keeps system message and question whatever their length', () => {
    const talk = conversation(12)
    talk.ask('a'.repeat(50))
    expect(talk.messages).toHaveLength(2)
  })

  it('drops no more than it must, always whole turns', () => {
    const talk = conversation(30)
    for (const text of ['1', '2', '3', '4']) {
      expect(talk.ask(text)).toBe(0)
      talk.answer(text.repeat(2))
    }
    expect(talk.ask('x'.repeat(10))).toBe(1)
    expect(talk.messages[1]).toEqual(user('2'))
  })

  it('forgets a question without an answer', () => {
    const talk = conversation(100)
    talk.ask('a')
    talk.unask()
    talk.unask()
    expect(talk.messages).toHaveLength(1)
  })
})
