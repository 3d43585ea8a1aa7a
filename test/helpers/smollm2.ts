// SmolLM2-135M-Instruct for the tests that want a real model: where TABHOPPER_SMOLLM2 says, else in the cache, where
// scripts/fetchSmollm2.mjs puts it.

import { existsSync } from 'node:fs'
// @ts-expect-error plain JavaScript: a script that runs by itself
import { smollm2Path } from '../../scripts/fetchSmollm2.mjs'

const path: string = process.env['TABHOPPER_SMOLLM2'] ?? (smollm2Path(process.env) as string)

/** The .gguf file, or undefined; then tests are skipped, and their names end in the reason. */
export const smollm2: { readonly path: string | undefined; readonly reason: string } = existsSync(path)
  ? { path, reason: '' }
  : { path: undefined, reason: ' (skipped for want of the file: run scripts/fetchSmollm2.mjs)' }
