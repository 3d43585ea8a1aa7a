// Something that the user should know, shown over the page for a while.

export interface Notice {
  readonly text: string
  /** Of the button beside it. */
  readonly action?: { readonly label: string; readonly run: () => void }
}
