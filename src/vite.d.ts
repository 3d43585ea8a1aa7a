// Types of what Vite imports for us. Not a module.
declare module '*.wgsl?raw' {
  const source: string
  export default source
}
