// The shader functions that kernels can #import, by name. Not kernels themselves.

import philox from '../../shaders/lib/philox.wgsl?raw'

export const shaderLib: Readonly<Record<string, string>> = { philox }
