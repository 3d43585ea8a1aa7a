// Build (library, CLI) and tests (vitest projects). Not a dev server for pages: those have their own entry in demo/.
import { builtinModules } from 'node:module'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const external = [
  /^node:/,
  ...builtinModules,
  'webgpu',
  'commander',
  'cli-progress',
  '@huggingface/tokenizers',
  '@huggingface/jinja',
]

const config: ViteUserConfig = defineConfig({
  base: './',
  publicDir: false,
  build: {
    target: 'es2023',
    sourcemap: true,
    minify: false,
    lib: {
      entry: { index: 'src/index.ts', node: 'src/node.ts', cli: 'src/cli.ts' },
      formats: ['es'],
    },
    rolldownOptions: { external, output: { chunkFileNames: 'chunks/[name]-[hash].js' } },
  },
  test: {
    reporters: ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/*.test.ts', 'test/unit/**/*.test.ts', 'test/property/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'gpu',
          include: ['test/gpu/**/*.test.ts', 'test/golden/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // One Dawn instance a process, and the adapters are the CPU's own cores: more workers only compete.
          fileParallelism: false,
          pool: 'forks',
        },
      },
    ],
  },
})

export default config
