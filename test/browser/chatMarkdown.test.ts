// Answers of a hostile model in the chat page: what becomes of them is looked at in a real DOM.

import { describe, expect, test } from 'vitest'
import { markdownHtml } from '../../demo/chat/markdown.ts'

/** The elements that a text becomes, in the document, where scripts and handlers would run. */
function show(markdown: string): HTMLElement {
  const place = document.createElement('div')
  place.innerHTML = markdownHtml(markdown)
  document.body.append(place)
  return place
}

const hostile = [
  '<script>globalThis.hit = 1</script>',
  '<img src=x onerror="globalThis.hit = 1">',
  '<svg><script>globalThis.hit = 1</script></svg>',
  '<svg onload="globalThis.hit = 1">',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=globalThis.hit=1&gt;">',
  '<iframe srcdoc="<script>parent.hit = 1</script>"></iframe>',
  '<a href="javascript:globalThis.hit = 1">x</a>',
  '[x](javascript:globalThis.hit=1)',
  '[x](JaVaScRiPt:globalThis.hit=1)',
  '[x](&#106;avascript:globalThis.hit=1)',
  '[x](java\u0009script:globalThis.hit=1)',
  '[x](data:text/html;base64,PHNjcmlwdD5oaXQ9MTwvc2NyaXB0Pg==)',
  '[x](vbscript:x)',
  '[x](blob:x)',
  '[x](/settings?delete=all)',
  '[x](//evil.example)',
  '<javascript:globalThis.hit=1>',
  '![x](https://evil.example/pixel.png)',
  '![x"onerror="globalThis.hit=1](x)',
  '[![x](https://evil.example/pixel.png)](javascript:alert(1))',
  '[x]: javascript:globalThis.hit=1\n\n[x]',
  '<form action="https://evil.example"><input name="x"><button>ok</button></form>',
  '<style>* { display: none }</style><p style="position:fixed">x</p>',
  '<base href="https://evil.example"><meta http-equiv="refresh" content="0;url=https://evil.example">',
  '```"><img src=x onerror=globalThis.hit=1>\ncode\n```',
  '`<img src=x onerror=globalThis.hit=1>`',
  '| <img src=x onerror=globalThis.hit=1> |\n|---|\n| </td><script>globalThis.hit=1</script> |',
  '- [ ] <script>globalThis.hit = 1</script>',
]

describe('a hostile answer', () => {
  test.each(hostile)('is harmless: %s', async (markdown) => {
    const place = show(markdown)
    const elements = [...place.querySelectorAll('*')]
    // Time for images and scripts to do what they would.
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(Reflect.get(globalThis, 'hit')).toBeUndefined()
    expect(place.querySelector('script, img, svg, math, iframe, form, input, style, base, meta')).toBeNull()
    const attributes = elements.flatMap((element) => element.getAttributeNames())
    expect(attributes.filter((name) => !['href', 'target', 'rel', 'align', 'start'].includes(name))).toEqual(
      [],
    )
    for (const link of place.querySelectorAll('a')) {
      expect(link.getAttribute('href')).toMatch(/^(https?:\/\/|mailto:)/)
      expect(link.rel).toBe('noopener noreferrer')
    }
    place.remove()
  })

  test('shows what it is made of as text', () => {
    expect(show('<b>no</b> <script>hit</script>').textContent).toContain('<b>no</b> <script>hit</script>')
  })
})

describe('an honest answer', () => {
  test.each([
    ['**a** *b* `c`', 'strong, em, code', 3],
    ['# a\n\n- b\n- c', 'h1, li', 3],
    ['| a | b |\n|---|--:|\n| 1 | 2 |', 'th, td', 4],
    ['```js\nlet x = "<b>"\n```', 'pre > code', 1],
    ['one\ntwo', 'br', 1],
  ])('keeps its form: %j', (markdown, selector, count) => {
    expect(show(markdown).querySelectorAll(selector)).toHaveLength(count)
  })

  test('has links that open elsewhere', () => {
    const link = show('[x](https://example.com/?a=1&b="2")').querySelector('a')
    expect(link?.href).toBe('https://example.com/?a=1&b=%222%22')
    expect(link?.target).toBe('_blank')
  })

  test('has a link in place of an image', () => {
    expect(show('![a cat](https://example.com/cat.png)').innerHTML).toContain('>a cat</a>')
  })
})
