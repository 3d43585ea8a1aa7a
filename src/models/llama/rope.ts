// Rotary frequencies and tables with the rounding of transformers: every operation in f32, sines and cosines of the
// f32 angle; test/golden/make/README.md has the steps as a table. Computed on the host because WGSL's sin and cos are
// too coarse. Not here: reading config.json (ropeConfig.ts).

import type { RopeConfig } from './ropeConfig.ts'
