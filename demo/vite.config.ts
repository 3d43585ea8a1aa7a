// Build of the demo's pages into dist/demo, embedded models included: static files for any server. The library and the
// tests have theirs in ../vite.config.ts.

import { fileURLToPath } from 'node:url'
import { defineConfig, type UserConfig } from 'vite'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const config: UserConfig = defineConfig({
  root: at('.'),
  base: './',
  publicDir: at('../public'),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    outDir: at('../dist/demo'),
    emptyOutDir: true,
    // A page under `default-src 'self'` cannot load images from data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { chat: at('chat/index.html'), inspector: at('inspector/index.html') } },
  },
})

export default config
