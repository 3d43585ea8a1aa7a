// Types of what Vite imports for us. Not a module.
declare module '*.wgsl?raw' {
  const source: string
  export default source
}

declare module '*?raw' {
  const source: string
  export default source
}

declare module '*?url' {
  const url: string
  export default url
}
