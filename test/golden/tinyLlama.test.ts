// The embedded model as a user meets it: opened by name, with default options, asked for stories. Whether it was trained
// well, and whether the runtime serves it well, show alike.

import { existsSync, readdirSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChatCompletion, Engine } from '../../src/api/types.ts'
import { createEngine } from '../../src/node.ts'
import { modelsDir } from '../helpers/dirs.ts'

const dir = `${modelsDir}/tiny-llama`
const isThere = existsSync(`${dir}/model.safetensors`)
const reason = isThere ? '' : ` (skipped: no ${dir})`

const topics =
  `dog cat rabbit bear fox frog duck bird fish lion elephant monkey horse cow pig turtle owl bee spider whale
  dragon dinosaur robot princess king boy girl car truck train boat ball kite balloon doll hat cake apple tree star`.split(
    /\s+/,
  )

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? 'an' : 'a')

/** The first two sentences. */
function opening(story: string): string {
  const ends = [...story.matchAll(/[.!?]["']?\s/g)]
  return story.slice(0, ends[1]?.index ?? story.length)
}

function namesTopic(story: string, noun: string): boolean {
  return new RegExp(`\\b${noun}(s|es|'s)?\\b`, 'i').test(opening(story))
}

describe.skipIf(!isThere)(`tiny-llama${reason}`, () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await createEngine({ model: 'tiny-llama' })
  })
  afterAll(() => engine.dispose())

  const tell = (topic: string, temperature: number, seed: number): Promise<ChatCompletion> =>
    engine.chat.completions.create({
      messages: [{ role: 'user', content: `Tell me a story about ${article(topic)} ${topic}.` }],
      temperature,
      seed,
    })

  test('is small enough to come with the package', () => {
    const bytes = readdirSync(dir).reduce((sum, file) => sum + statSync(`${dir}/${file}`).size, 0)
    expect(bytes).toBeGreaterThan(1e6)
    expect(bytes).toBeLessThanOrEqual(4 * 2 ** 20)
  })

  test('tells a whole story about a dog', async () => {
    const { choices } = await tell('dog', 0, 0)
    const { message, finish_reason } = choices[0]!
    expect(message.content.length).toBeGreaterThanOrEqual(200)
    expect(message.content).toMatch(/\bdog\b/i)
    expect(finish_reason).toBe('stop')
    // No special token shows, and sentences are made of words.
    expect(message.content).not.toMatch(/<\||\uFFFD/)
    expect(message.content).toMatch(/^[A-Z][^.!?]*[.!?]/)
  })

  test('names in its first two sentences what it was asked for, in at least 34 of 40 stories', async () => {
    expect(new Set(topics).size).toBe(40)
    const stories: string[] = []
    for (let first = 0; first < topics.length; first += 8) {
      const batch = topics.slice(first, first + 8).map((topic, i) => tell(topic, 0.5, first + i))
      stories.push(...(await Promise.all(batch)).map(({ choices }) => choices[0]!.message.content))
    }
    const missed = topics.filter((topic, i) => !namesTopic(stories[i]!, topic))
    expect(missed.length, `missed: ${missed.join(', ')}`).toBeLessThanOrEqual(6)
    // The control: a story about one thing seldom names the next thing of the list.
    const crossed = topics.filter((_, i) => namesTopic(stories[i]!, topics[(i + 1) % topics.length]!))
    expect(crossed.length, `crossed: ${crossed.join(', ')}`).toBeLessThanOrEqual(6)
  })

  test('tells the same story for the same seed, and another for another', async () => {
    const [first, again, other] = await Promise.all([
      tell('cat', 0.8, 1),
      tell('cat', 0.8, 1),
      tell('cat', 0.8, 2),
    ])
    const text = ({ choices }: ChatCompletion): string => choices[0]!.message.content
    expect(text(again)).toBe(text(first))
    expect(text(other)).not.toBe(text(first))
  })

  test('tells one word after the other', async () => {
    const request = {
      messages: [{ role: 'user' as const, content: 'Tell me a story about a fox.' }],
      temperature: 0,
      max_tokens: 40,
    }
    const whole = await engine.chat.completions.create(request)
    let text = ''
    let numPieces = 0
    for await (const { choices } of engine.chat.completions.create({ ...request, stream: true })) {
      const piece = choices[0]?.delta.content ?? ''
      text += piece
      if (piece !== '') numPieces++
    }
    expect(text).toBe(whole.choices[0]!.message.content)
    expect(numPieces).toBeGreaterThan(20)
  })
})
