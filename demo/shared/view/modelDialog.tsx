// Choosing a model: the embedded one, one from the network, or files of the user.

import type { JSX, TargetedEvent } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { embeddedModel, type ModelChoice, type PageEngine } from '../engine.ts'
import { chosenFiles } from '../modelFiles.ts'
import { Dialog } from './dialog.tsx'
import { Icon } from './icons.tsx'
import { KeptModels } from './keptModels.tsx'

interface ModelDialogProps {
  readonly isOpen: boolean
  readonly engine: PageEngine | undefined
  readonly onClose: () => void
  readonly onChoose: (choice: ModelChoice) => void
}

export function ModelDialog({ isOpen, engine, onClose, onChoose }: ModelDialogProps): JSX.Element {
  const choose = (choice: ModelChoice | undefined): void => {
    if (choice === undefined) return
    onClose()
    onChoose(choice)
  }
  return (
    <Dialog title="Choose a model" isOpen={isOpen} onClose={onClose}>
      <button type="button" class="option" onClick={() => choose({ kind: 'embedded' })}>
        <strong>{embeddedModel}</strong>
        <span>Comes with this page: 3.8 MB, works offline, tells short stories.</span>
      </button>
      <NamedForm onChoose={choose} />
      {engine !== undefined && (
        <KeptModels engine={engine} onChoose={(name) => choose({ kind: 'named', name })} />
      )}
      <FileChoice onChoose={choose} />
      <p class="hint">
        Llama, Mistral and Qwen2 models in the layout of Hugging Face, or as GGUF. A model has to fit the
        memory of your graphics card.
      </p>
    </Dialog>
  )
}

interface ChoiceProps {
  readonly onChoose: (choice: ModelChoice | undefined) => void
}

function NamedForm({ onChoose }: ChoiceProps): JSX.Element {
  const [name, setName] = useState('')
  const [token, setToken] = useState('')
  const load = (event: Event): void => {
    event.preventDefault()
    const trimmed = name.trim()
    if (trimmed !== '')
      onChoose({ kind: 'named', name: trimmed, ...(token !== '' && { token: token.trim() }) })
  }
  return (
    <form class="field-group" onSubmit={load}>
      <label>
        Hub id or address
        <span class="row">
          <input
            type="text"
            value={name}
            spellcheck={false}
            autocapitalize="off"
            placeholder="HuggingFaceTB/SmolLM2-135M-Instruct"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={name.trim() === ''}>
            Load
          </button>
        </span>
      </label>
      <details>
        <summary>Private or gated model</summary>
        <label>
          Access token
          <input
            type="password"
            value={token}
            autocomplete="off"
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p class="hint">Sent to the server of the model only, and forgotten with this tab.</p>
      </details>
    </form>
  )
}

function FileChoice({ onChoose }: ChoiceProps): JSX.Element {
  const folder = useRef<HTMLInputElement>(null)
  const file = useRef<HTMLInputElement>(null)
  const takesFolder = (input: HTMLInputElement | null): void => {
    folder.current = input
    if (input !== null) input.webkitdirectory = true
  }
  const onChange = ({ currentTarget }: TargetedEvent<HTMLInputElement>): void => {
    onChoose(chosenFiles(currentTarget.files ?? []))
  }
  return (
    <div class="field-group">
      <p class="label">Files of yours</p>
      <div class="row">
        <button type="button" onClick={() => folder.current?.click()}>
          <Icon name="folder" /> Choose a folder
        </button>
        <button type="button" onClick={() => file.current?.click()}>
          Choose a .gguf file
        </button>
      </div>
      <input ref={takesFolder} type="file" hidden aria-label="Model folder" onChange={onChange} />
      <input ref={file} type="file" hidden accept=".gguf" aria-label="GGUF file" onChange={onChange} />
      <p class="hint">
        Or drop a folder or a .gguf file anywhere on this page. They are read here and sent nowhere.
      </p>
    </div>
  )
}
