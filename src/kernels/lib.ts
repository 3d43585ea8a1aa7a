// The shader functions that kernels can #import, by name. Not kernels themselves.

import linear_epilogue from '../../shaders/lib/linear_epilogue.wgsl?raw'
import linear_operands from '../../shaders/lib/linear_operands.wgsl?raw'
import paged_attention from '../../shaders/lib/paged_attention.wgsl?raw'
import philox from '../../shaders/lib/philox.wgsl?raw'
import sequences from '../../shaders/lib/sequences.wgsl?raw'

export const shaderLib: Readonly<Record<string, string>> = {
  linear_epilogue,
  linear_operands,
  paged_attention,
  philox,
  sequences,
}
