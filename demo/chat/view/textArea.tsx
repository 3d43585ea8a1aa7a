// A text field that grows with its text. Enter sends, Shift+Enter breaks the line.

import type { JSX, Ref, TargetedKeyboardEvent } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

interface TextAreaProps {
  readonly label: string
  readonly value: string
  readonly onInput: (value: string) => void
  /** Gets what is in the field, which may be newer than `value`. */
  readonly onEnter?: (value: string) => void
  readonly placeholder?: string
  /** Takes the focus when it appears, with the cursor at the end. */
  readonly hasFocus?: boolean
  readonly field?: Ref<HTMLTextAreaElement>
}

export function TextArea({
  label,
  value,
  onInput,
  onEnter,
  placeholder,
  hasFocus,
  field,
}: TextAreaProps): JSX.Element {
  const own = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => {
    const area = own.current
    if (area === null) return
    area.style.height = 'auto'
    area.style.height = `${area.scrollHeight}px`
  }, [value])
  // Before the browser paints: later, it could move a cursor that the user has already set.
  useLayoutEffect(() => {
    if (hasFocus !== true) return
    own.current?.focus()
    own.current?.setSelectionRange(value.length, value.length)
  }, [hasFocus])
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>): void => {
    // Enter that ends the composition of a character is not meant for us.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || onEnter === undefined) return
    event.preventDefault()
    onEnter(event.currentTarget.value)
  }
  return (
    <textarea
      ref={(area) => {
        own.current = area
        if (typeof field === 'object' && field !== null) field.current = area
      }}
      rows={1}
      aria-label={label}
      value={value}
      placeholder={placeholder ?? ''}
      enterkeyhint={onEnter === undefined ? 'enter' : 'send'}
      onInput={(event) => onInput(event.currentTarget.value)}
      onKeyDown={onKeyDown}
    />
  )
}
