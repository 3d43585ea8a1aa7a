// Markdown of answers as HTML that can be put into the page: no raw HTML, no images, links that open elsewhere.
// Two walls: marked escapes what is not Markdown, DOMPurify lets through a short list of elements only.

import DOMPurify from 'dompurify'
import { Marked } from 'marked'

const allowedTags =
  'a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul'.split(
    ' ',
  )

const plainAttributes = ['target', 'rel', 'align', 'start']

const safeAddress = /^(?:https?:\/\/|mailto:)/i

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    // Loading it would tell its server who reads the answer.
    image: ({ href, text }) => link(href, escaped(text === '' ? href : text)),
    link({ href, tokens }) {
      return link(href, this.parser.parseInline(tokens))
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
})

function link(href: string, content: string): string {
  if (!safeAddress.test(href)) return content
  return `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer">${content}</a>`
}

/** Needs a DOM; throws without one, since nothing could be cleaned. */
export function markdownHtml(markdown: string): string {
  if (!DOMPurify.isSupported)
    throw new Error('Markdown is shown in pages only: there is no DOM to clean it with.')
  return DOMPurify.sanitize(marked.parse(markdown, { async: false }), {
    ALLOWED_TAGS: allowedTags,
    ALLOWED_ATTR: ['href', ...plainAttributes],
    // Everything else is held against the pattern of addresses.
    ADD_URI_SAFE_ATTR: plainAttributes,
    ALLOWED_URI_REGEXP: safeAddress,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  })
}

/**
 * Splits a growing text into blocks (paragraphs, lists, code), so that only the last ones have to be rendered again.
 * Blocks that later text cannot change any more are not even read again.
 */
export class MarkdownBlocks {
  #settled: string[] = []
  #settledText = ''

  /** The blocks of `text`, which begins with the text before, or else is read as a whole. */
  update(text: string): readonly string[] {
    if (!text.startsWith(this.#settledText)) {
      this.#settled = []
      this.#settledText = ''
    }
    const open = joinSpaces(marked.lexer(text.slice(this.#settledText.length)))
    // The last block may go on, and turn the one before into something else (a heading, a table).
    const settled = open.splice(0, Math.max(0, open.length - 2))
    this.#settled.push(...settled)
    this.#settledText += settled.join('')
    return [...this.#settled, ...open]
  }
}

/** The raw text of each block with the empty lines behind it. */
function joinSpaces(tokens: readonly { readonly type: string; readonly raw: string }[]): string[] {
  const blocks: string[] = []
  for (const { type, raw } of tokens) {
    const last = blocks.length - 1
    if (type === 'space' && last >= 0) blocks[last] += raw
    else blocks.push(raw)
  }
  return blocks
}
