// The built chat page as `npm start` serves it, in a real browser with nothing but its own server to ask: what a user
// does, what a reload keeps, what happens when things go wrong.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDemo, projectRoot } from './demo.ts'

/** For what waits on the model, on cores that are shared. */
const patience = 60_000

let browser: Browser
let url: string
let folder: string

beforeAll(async () => {
  const demo = await openDemo('chat')
  ;({ browser, url, folder } = demo)
  return demo.close
})

let context: BrowserContext
let page: Page
/** What went wrong behind the user's back. */
let complaints: string[]

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
  context.setDefaultTimeout(patience)
  page = await context.newPage()
  complaints = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // A model folder need not have every file that is looked for.
    const isModelFile = message.location().url.includes('/models/')
    if (['error', 'warning'].includes(message.type()) && !isModelFile) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complaints.push(`asked for ${request.url()}`)
  })
})

afterEach(() => context.close())

const button = (name: string | RegExp): Locator => page.getByRole('button', { name, exact: true })
const message = (): Locator => page.getByRole('textbox', { name: 'Message', exact: true })
const log = (): Locator => page.getByRole('log', { name: 'Conversation' })
const answer = (): Locator => page.getByRole('article', { name: 'Answer' }).last()
const title = (name: string): Locator =>
  page.getByRole('navigation', { name: 'Conversations' }).getByRole('button', { name, exact: true })

const titles = (): Promise<string[]> =>
  page.getByRole('navigation', { name: 'Conversations' }).locator('.title').allInnerTexts()

async function openReady(): Promise<void> {
  await page.goto(url)
  await page.getByText('swiftshader').waitFor()
}

async function ask(text: string): Promise<void> {
  await message().fill(text)
  await message().press('Enter')
}

const answered = (): Promise<void> => answer().getByText('tokens/s').waitFor()

/** Settings that make answers short and repeatable. */
async function setShort(): Promise<void> {
  await button('Settings').click()
  await page.getByLabel('Most tokens').fill('32')
  await page.getByLabel('Seed').fill('7')
  await page.keyboard.press('Escape')
}

const answerText = (): Promise<string> => answer().locator('.markdown').innerText()

describe('the chat page', () => {
  test('answers while it is read, stops at once, and keeps what there is', async () => {
    await openReady()
    expect(await page.locator('.adapter').innerText()).toMatch(/software, slow · no f16/)
    await ask('Tell me a story about a dog.')
    await answer().getByText('Once').waitFor()
    const early = await answerText()
    await page.waitForFunction(
      (length) => (document.querySelector('.markdown')?.textContent.length ?? 0) > length + 20,
      early.length,
    )
    expect(await log().getAttribute('aria-busy')).toBe('true')
    await button('Stop').focus()
    await page.keyboard.press('Escape')
    await answer().getByText('Stopped.').waitFor()
    expect(await log().getAttribute('aria-busy')).toBe('false')
    const stopped = await answerText()
    expect(stopped.startsWith(early)).toBe(true)

    await page.reload()
    expect(await answerText()).toBe(stopped)
    expect(await answer().locator('.stats').innerText()).toMatch(/^\d+ tokens\s+[\d.]+ tokens\/s/)
    await title('Tell me a story about a dog.').waitFor()
    expect(complaints).toEqual([])
  })

  test('regenerates, edits and repeats itself with the same seed', async () => {
    await openReady()
    await setShort()
    await message().fill('Tell me a story')
    await message().press('Shift+Enter')
    await message().pressSequentially('about a cat.')
    await button('Send').click()
    await answered()
    const first = await answerText()
    expect(await answer().locator('.stats').innerText()).toMatch(
      /^\d+ tokens\s+[\d.]+ tokens\/s\s+first after [\d.]+ m?s\s+seed 7\s*$/,
    )
    await button('Regenerate answer').click()
    await answered()
    expect(await answerText()).toBe(first)

    // The field takes the cursor as it appears. Any later, it could take it from a user who has begun to type.
    await page.evaluate(() => {
      const watch = new MutationObserver(() => {
        const field = document.activeElement
        if (field instanceof HTMLTextAreaElement && field.selectionStart === field.value.length)
          document.body.dataset['cursorAtEndOf'] = field.getAttribute('aria-label') ?? ''
        watch.disconnect()
      })
      watch.observe(document.body, { childList: true, subtree: true })
    })
    await button('Edit message').click()
    await page.getByLabel('Edited message').waitFor()
    expect(await page.locator('body').getAttribute('data-cursor-at-end-of')).toBe('Edited message')
    await page.getByLabel('Edited message').fill('Tell me a story about a boat.')
    await page.keyboard.press('Enter')
    await page.getByRole('article', { name: 'You said' }).getByText('boat').waitFor()
    await answered()
    expect(await page.getByRole('article').count()).toBe(2)
    expect(await answerText()).not.toBe(first)
    await expect.poll(titles).toEqual(['Tell me a story about a boat.'])
    expect(complaints).toEqual([])
  })

  test('has conversations that are begun, renamed, exported, deleted and brought back', async () => {
    await openReady()
    await setShort()
    await button(/^A dog/).click()
    await answered()
    await button('New conversation').click()
    await page.getByRole('heading', { name: 'A language model in this tab' }).waitFor()
    await ask('Tell me a story about a cat.')
    await answered()

    await title('Tell me a story about a cat.').hover()
    await button('Rename “Tell me a story about a cat.”').click()
    await page.getByLabel('Title of the conversation').fill('Cats')
    await page.keyboard.press('Enter')
    await title('Cats').hover()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      button('Export “Cats” as JSON').click(),
    ])
    expect(download.suggestedFilename()).toBe('Cats.json')
    const exported = JSON.parse(await readFile(await download.path(), 'utf8'))
    expect(exported.messages).toMatchObject([{ role: 'user' }, { role: 'assistant', stats: { seed: 7 } }])

    await button('Delete “Cats”').click()
    await title('Cats').waitFor({ state: 'detached' })
    expect(await log().innerText()).toContain('Tell me a story about a dog.')
    await button('Undo').click()
    await title('Cats').waitFor()
    await page.reload()
    await title('Cats').waitFor()
    expect(complaints).toEqual([])
  })

  test('is dark or light as the user says, and fits a phone', async () => {
    await page.goto(url)
    const background = (): Promise<string> =>
      page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const light = await background()
    await button('Switch to dark mode').click()
    await expect.poll(background).not.toBe(light)
    const dark = await background()
    await page.setViewportSize({ width: 320, height: 640 })
    await page.reload()
    await button('Switch to light mode').waitFor()
    expect(await background()).toBe(dark)
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    expect(await button('Send').boundingBox()).toMatchObject({ width: 40 })
    await button('Conversations').click()
    await page.getByRole('dialog', { name: 'Conversations' }).getByText('New conversation').waitFor()
    expect(complaints).toEqual([])
  })

  test('takes a folder from the disk, and says what is wrong with a file', async () => {
    await page.goto(url)
    await button(/^Model: /).click()
    const bad = join(folder, 'bad.gguf')
    await writeFile(bad, 'not a model')
    await page.getByLabel('GGUF file').setInputFiles(bad)
    await page
      .getByRole('alert')
      .getByText(/^(weights|file)\//)
      .waitFor()
    await button('Choose another model').click()
    await page.getByLabel('Model folder').setInputFiles(join(projectRoot, 'public/models/tiny-llama'))
    await page.getByText('swiftshader').waitFor()
    await setShort()
    await ask('Tell me a story about a dog.')
    await answered()
    expect(complaints).toEqual([])
  })

  test('lets a question wait for the model, and a load be cancelled', async () => {
    await page.route('**/model.safetensors', () => undefined)
    await page.goto(url)
    await setShort()
    await ask('Tell me a story about a dog.')
    await page.getByLabel('Waiting for the answer').waitFor()
    await button('Cancel').click()
    await answer().getByText('No model is loaded.').waitFor()
    await page.unroute('**/model.safetensors')
    await button('Load tiny-llama').click()
    await button('Try again').click()
    await answered()
    expect(complaints).toEqual([])
  })

  test('tells what to do in a browser without WebGPU', async () => {
    await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'))
    await page.goto(url)
    await page.getByRole('heading', { name: 'This browser has no WebGPU' }).waitFor()
    expect(await page.getByRole('status', { name: 'Model' }).innerText()).toContain('chrome://flags')
    expect(complaints).toEqual([])
  })
})
