// An answer as Markdown, block by block: while it grows, only its last blocks are rendered again.

import type { JSX } from 'preact'
import { memo } from 'preact/compat'
import { useMemo } from 'preact/hooks'
import { MarkdownBlocks, markdownHtml } from '../markdown.ts'

export function MarkdownView({ text }: { readonly text: string }): JSX.Element {
  const blocks = useMemo(() => new MarkdownBlocks(), [])
  return (
    <div class="markdown">
      {blocks.update(text).map((block, index) => (
        <Block key={index} text={block} />
      ))}
    </div>
  )
}

const Block = memo(({ text }: { readonly text: string }) => (
  // Cleaned by markdownHtml.
  <div class="block" dangerouslySetInnerHTML={{ __html: markdownHtml(text) }} />
))
