// The built inspector page as `npm start` serves it, in a real browser: the embedded model is drawn, looked into and run.
// What it says of ops and memory is compared with an engine in Node.

import type { Browser, Locator, Page } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/node.ts'
import { openDemo } from './demo.ts'

/** For what waits on the model, on cores that are shared. */
const patience = 60_000

/** Share of the diagram's height that its controls may lie over, above and below. */
const controls = 0.2

let browser: Browser
let url: string
/** The same model with the page's options. */
let engine: Engine

beforeAll(async () => {
  // Without these, a canvas drawn on the CPU takes the graphics process with it.
  const demo = await openDemo('inspector', [
    '--enable-features=Vulkan',
    '--use-vulkan=swiftshader',
    '--use-angle=swiftshader',
  ])
  ;({ browser, url } = demo)
  engine = await createEngine({ model: 'tiny-llama', device: 'reference', maxNumSeqs: 4 })
  return async () => {
    await engine.dispose()
    await demo.close()
  }
})

async function openPage(): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: 'light' })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    const isModelFile = message.location().url.includes('/models/')
    if (['error', 'warning'].includes(message.type()) && !isModelFile) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complaints.push(`asked for ${request.url()}`)
  })
  return { page, complaints }
}

/**
 * Distinct colours, coarsely, and the share of the commonest, of what is seen of an element without a part of its height
 * at either end.
 */
async function coloursOf(
  page: Page,
  element: Locator,
  margin = 0,
): Promise<{ distinct: number; commonest: number }> {
  const png = (await element.screenshot()).toString('base64')
  return page.evaluate(
    async ([base64, margin]) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.codePointAt(0)!)
      const bitmap = await createImageBitmap(new Blob([bytes]))
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!
      context.drawImage(bitmap, 0, 0)
      const top = Math.floor(bitmap.height * margin)
      const height = bitmap.height - 2 * top
      const { data } = context.getImageData(0, top, bitmap.width, height)
      const counts = new Map<number, number>()
      for (let at = 0; at < data.length; at += 4) {
        const colour = ((data[at]! >> 4) << 8) | ((data[at + 1]! >> 4) << 4) | (data[at + 2]! >> 4)
        counts.set(colour, (counts.get(colour) ?? 0) + 1)
      }
      return { distinct: counts.size, commonest: Math.max(...counts.values()) / (data.length / 4) }
    },
    [png, margin] as const,
  )
}

test('draws the model, tells what an op is, and shows what a run does to cache, time and memory', async () => {
  const { page, complaints } = await openPage()
  const button = (name: string): Locator => page.getByRole('button', { name, exact: true })
  const panel = (name: string): Locator => page.getByRole('region', { name, exact: true })
  const details = page.getByRole('complementary', { name: 'Details' })
  await page.goto(url)
  await page.getByText('swiftshader').waitFor()
  const { graph, buffers } = await engine.inspect.model()
  const diagram = page.getByRole('application')
  await page.getByRole('application', { name: `Graph of ${graph.ops.length} ops in 6 groups` }).waitFor()

  // Drawn: boxes of several colours on a ground, and more of them than ground from near.
  await expect.poll(async () => (await coloursOf(page, diagram, controls)).distinct).toBeGreaterThan(12)
  const far = await coloursOf(page, diagram, controls)
  expect(far.commonest).toBeLessThan(0.9)
  const box = (await diagram.boundingBox())!
  await page.mouse.move(box.x + box.width / 3, box.y + box.height / 2)
  await page.mouse.wheel(0, -900)
  await expect
    .poll(async () => (await coloursOf(page, diagram, controls)).commonest)
    .not.toBeCloseTo(far.commonest, 2)
  await diagram.press('0')
  await expect
    .poll(async () => (await coloursOf(page, diagram, controls)).commonest)
    .toBeCloseTo(far.commonest, 2)

  // What is chosen in the list is what is hit in the drawing.
  await page.getByRole('textbox', { name: 'Find an op' }).fill('layer 2 attention')
  await page.keyboard.press('Enter')
  await details.getByText('layers.2.attn', { exact: true }).waitFor()
  await page.waitForTimeout(600)
  const heights = await page
    .locator('.stage-top, .stage-bottom')
    .evaluateAll((all) => all.map((one) => (one as HTMLElement).offsetHeight))
  const covered = 396
  const middle = {
    x: box.x + (box.width - covered) / 2,
    y: box.y + box.height / 2 + (heights[0]! - heights[1]!) / 2,
  }
  await button('Close details').click()
  await details.waitFor({ state: 'detached' })
  await page.mouse.click(middle.x, middle.y)
  await details.getByRole('heading', { name: 'attention', exact: true }).waitFor()
  const op = graph.ops.find(({ kind, origin }) => kind === 'attention' && origin === 'layers.2.attn')!
  const operands = await details.locator('.operands li').allInnerTexts()
  const expected = [...Object.entries(op.inputs), ...Object.entries(op.outputs)].map(([name, id]) => {
    const { dtype, shape } = graph.values[id]!
    return [name, `${dtype} [${shape.join(', ')}]`]
  })
  expect(operands).toHaveLength(expected.length)
  for (const [index, parts] of expected.entries())
    for (const part of parts) expect(operands[index]).toContain(part)

  // Its dispatch in the plan, with complete code.
  await details.locator('section button').first().click()
  await page.getByRole('application', { name: /^Plan of \d+ dispatches/ }).waitFor()
  await details.getByText(/^WGSL, \d+ lines$/).click()
  expect(await details.locator('pre').innerText()).toMatch(/@compute[\s\S]*fn main/)
  await button('Close details').click()

  // Time by kernel, or why there is none.
  await button('Measure').click()
  const time = panel('GPU time')
  await time.locator('.bars li, [role=status]').first().waitFor()
  const kernels = await time.getByRole('list', { name: 'Kernels' }).locator('li').allInnerTexts()
  const isTold =
    kernels.length === 0
      ? (await time.innerText()).includes('timestamp-query')
      : kernels.some((kernel) => /lm_head[\s\S]*\d (µs|ms)/.test(kernel))
  expect(isTold).toBe(true)

  // Blocks fill, in two colours, and are free again.
  const cache = panel('KV cache')
  const used = async (): Promise<number> => Number(/(\d+) of 128 blocks/.exec(await cache.innerText())?.[1])
  expect(await used()).toBe(0)
  const free = await coloursOf(page, cache.locator('canvas'))
  await button('Run').click()
  await expect.poll(used, { timeout: patience }).toBeGreaterThan(4)
  expect(await cache.getByRole('list', { name: 'Sequences' }).locator('li').count()).toBe(2)
  await expect
    .poll(async () => (await coloursOf(page, cache.locator('canvas'))).distinct)
    .toBeGreaterThan(free.distinct)
  expect(await panel('Run').getByRole('list', { name: 'Texts' }).locator('li').count()).toBe(2)
  await button('Stop').click()
  await expect.poll(used, { timeout: patience }).toBe(0)

  // Memory: as much for the model as in Node, and the list of buffers begins with its largest.
  const shown = await panel('Memory')
    .locator('[data-owner]')
    .evaluateAll((rows) =>
      rows.map((row) => [row.getAttribute('data-owner'), Number(row.getAttribute('data-bytes'))]),
    )
  const { weights, states } = engine.memory()
  expect(Object.fromEntries(shown)).toMatchObject({ weights, states })
  const total = shown.reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  expect(await panel('Memory').innerText()).toContain(`${(total / 1e6).toFixed(1)} MB on the device`)
  const largest = buffers.reduce((best, buffer) => (buffer.bytes > best.bytes ? buffer : best))
  expect(largest.label).toBe('model.embed_tokens.weight')
  const list = panel('Memory').getByRole('list', { name: 'Largest buffers' })
  expect(await list.locator('li').first().innerText()).toMatch(/embed_tokens\s+786 kB/)
  expect(complaints).toEqual([])
}, 180_000)

test('fits a phone, is dark or light as the user says, and leads to the chat', async () => {
  const { page, complaints } = await openPage()
  await page.setViewportSize({ width: 320, height: 640 })
  // No model: the page has to be usable before there is one.
  await page.route('**/model.safetensors', () => undefined)
  await page.goto(url)
  await page.getByRole('button', { name: 'Switch to dark mode' }).click()
  await page.getByRole('button', { name: 'Switch to light mode' }).waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Switch to light mode' }).waitFor()
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  expect(overflow).toBeLessThanOrEqual(0)
  await page.getByRole('link', { name: 'Chat' }).click()
  await page.getByRole('link', { name: 'Inspector' }).click()
  await page.getByRole('heading', { name: 'Tabhopper inspector' }).waitFor()
  expect(complaints).toEqual([])
})

test('says so where it cannot be drawn', async () => {
  const { page } = await openPage()
  await page.addInitScript(`
    const { prototype } = HTMLCanvasElement
    const { getContext } = prototype
    prototype.getContext = function (kind, ...rest) {
      return kind === 'webgpu' ? null : getContext.call(this, kind, ...rest)
    }
  `)
  await page.goto(url)
  expect(await page.getByRole('alert').innerText()).toContain('This browser draws no WebGPU on a canvas.')
})
