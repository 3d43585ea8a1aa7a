// Build (library, CLI) and tests (vitest projects). Not a dev server for pages: those have their own entry in demo/.
import { existsSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { playwright } from '@vitest/browser-playwright'
import type { Plugin } from 'vite'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Everything else is built in: a page loads the files as they are, without resolving package names.
const external = [/^node:/, ...builtinModules, 'webgpu', 'commander', 'cli-progress']

/** Software Vulkan that Debian's chromium brings along. */
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** Would take others' compilers minutes. */
const emulatedSubgroups = 'test/gpu/subgroupSizes.test.ts'

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

if (chromium === undefined) console.warn('Skipped: browser and SwiftShader tests, for want of chromium.')

const chromiumFlags = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * Keeps `new Worker(new URL("./worker.js", import.meta.url), …)` in the built library as users' bundlers look for it.
 * Left alone, Vite would inline the worker.
 */
function workerUrl(): Plugin {
  const source = `new URL('../worker.ts', import.meta.url)`
  const target = `new URL("./worker.js", import.meta.url)`
  // As long as the target: source maps stay right when it is put in after everything else.
  const mark = '__WORKER_URL'.padEnd(target.length, '_')
  return {
    name: 'worker-url',
    apply: 'build',
    enforce: 'pre',
    transform: (code, id) =>
      id.endsWith('/startWorker.ts') ? { code: code.replaceAll(source, mark), map: null } : undefined,
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk') file.code = file.code.replaceAll(mark, target)
      }
    },
  }
}

const gpu = {
  testTimeout: 300_000,
  hookTimeout: 300_000,
  // One Dawn instance a process, and the adapters are the CPU's own cores: more workers only compete.
  fileParallelism: false,
  pool: 'forks',
} as const

const config: ViteUserConfig = defineConfig({
  base: './',
  plugins: [workerUrl()],
  publicDir: false,
  build: {
    target: 'es2023',
    sourcemap: true,
    minify: false,
    lib: {
      entry: {
        index: 'src/index.ts',
        worker: 'src/worker.ts',
        node: 'src/node.ts',
        cli: 'src/cli.ts',
        'ai-sdk': 'src/adapters/aiSdk.ts',
        'prompt-api': 'src/adapters/promptApi.ts',
        progress: 'src/adapters/progress.ts',
      },
      formats: ['es'],
    },
    rolldownOptions: {
      external,
      output: {
        chunkFileNames: 'chunks/[name]-[hash].js',
        // Names stay, for traces.
        minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
      },
    },
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
          ...gpu,
          name: 'gpu',
          include: ['test/gpu/**/*.test.ts', 'test/golden/**/*.test.ts'],
          exclude: [emulatedSubgroups],
        },
      },
      {
        extends: true,
        // A second driver: no f16, subgroups of four, denormals flushed. One pass of each kernel, and its quick compiler.
        test: {
          ...gpu,
          name: 'swiftshader',
          include: existsSync(swiftshader) ? ['test/gpu/ops.test.ts', emulatedSubgroups] : [],
          env: { VK_DRIVER_FILES: swiftshader, VK_ICD_FILENAMES: swiftshader, TEST_ADAPTER: 'SwiftShader' },
        },
      },
      {
        extends: true,
        // The built library and pages, driven from outside.
        test: {
          ...gpu,
          name: 'pages',
          include: chromium === undefined ? [] : ['test/pages/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: chromium === undefined ? [] : ['test/browser/**/*.test.ts'],
          testTimeout: 300_000,
          browser: {
            enabled: true,
            headless: true,
            // By number: the name localhost needs an /etc/hosts, which bare containers lack.
            api: { host: '127.0.0.1' },
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { ...(chromium && { executablePath: chromium }), args: chromiumFlags },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
})

export default config
