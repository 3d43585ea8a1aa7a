// All ops or dispatches as a list to search: what can be clicked in the drawing can be chosen here.

import type { JSX, TargetedKeyboardEvent } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { Icon } from '../../shared/view/icons.tsx'
import type { Diagram } from '../diagram/diagram.ts'

interface OpListProps {
  readonly diagram: Diagram
  readonly selected: number | undefined
  readonly onChoose: (node: number) => void
}

export function OpList({ diagram, selected, onChoose }: OpListProps): JSX.Element {
  const [query, setQuery] = useState('')
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<HTMLUListElement>(null)
  const id = useId()
  const words = query.toLowerCase().split(/\s+/)
  const found = diagram.nodes.flatMap(({ title, path, group }, index) => {
    const name = `${title} ${diagram.groups[group]} ${path}`.toLowerCase()
    return words.every((word) => name.includes(word)) ? [index] : []
  })
  const choose = (index: number): void => {
    setOpen(false)
    onChoose(index)
  }
  const focusAt = (index: number): void => {
    const buttons = list.current?.querySelectorAll('button')
    if (index < 0) box.current?.querySelector('input')?.focus()
    else buttons?.item(Math.min(index, buttons.length - 1))?.focus()
  }
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>): void => {
    const { key } = event
    if (key === 'Escape') setOpen(false)
    if (key === 'Enter' && event.target instanceof HTMLInputElement && found[0] !== undefined)
      choose(found[0])
    if (key !== 'ArrowDown' && key !== 'ArrowUp') return
    event.preventDefault()
    setOpen(true)
    const buttons = [...(list.current?.querySelectorAll('button') ?? [])]
    const now = buttons.findIndex((button) => button === document.activeElement)
    focusAt(now + (key === 'ArrowDown' ? 1 : -1))
  }
  const onBlur = ({ relatedTarget }: FocusEvent): void => {
    if (!(relatedTarget instanceof Node && box.current?.contains(relatedTarget) === true)) setOpen(false)
  }
  return (
    <search ref={box} class="op-list" onKeyDown={onKeyDown} onFocusOut={onBlur}>
      <label class="op-search">
        <Icon name="search" />
        <input
          type="text"
          aria-label="Find an op"
          aria-expanded={isOpen}
          aria-controls={id}
          placeholder="Find an op…"
          value={query}
          spellcheck={false}
          onFocus={() => setOpen(true)}
          onInput={(event) => {
            setQuery(event.currentTarget.value)
            setOpen(true)
          }}
        />
      </label>
      <ul id={id} ref={list} aria-label="Ops" hidden={!isOpen}>
        {found.map((index) => {
          const { title, path, group } = diagram.nodes[index]!
          return (
            <li key={index}>
              <button type="button" aria-current={index === selected} onClick={() => choose(index)}>
                <strong>{title}</strong>
                <span>
                  {diagram.groups[group]} · {path}
                </span>
              </button>
            </li>
          )
        })}
        {found.length === 0 && <li class="hint">Nothing of that name.</li>}
      </ul>
    </search>
  )
}
