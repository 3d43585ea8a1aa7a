// Kernels where one workgroup reduces one row: rmsNorm, attention, sample.

import attentionShader from '../../shaders/attention_naive.wgsl?raw'
import rmsNormShader from '../../shaders/rms_norm.wgsl?raw'
import sampleShader from '../../shaders/sample.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { packWidth, read, rowsOf, tensorOf, widthOf, write } from './shapes.ts'
import type { KernelSpec } from './spec.ts'

const invocations = 64

export const rmsNormSpec: KernelSpec = {
  op: 'rmsNorm',
  variants: [
    {
      name: 'rms_norm',
      summary: 'one workgroup a row, tree reduction in workgroup memory',
      shader: rmsNormShader,
      supports: () => true,
      configure(problem) {
        invariant(problem.op.kind === 'rmsNorm', 'rmsNorm kernel')
        const y = tensorOf(problem, 'y')
        const width = packWidth(problem, ['x', 'weight', 'y'])
        return {
          bindings: [read('x', width), read('weight', width), write('y', width)],
          constants: {
            u32: { PACKS: widthOf(y) / width },
            f32: { EPS: problem.op.attrs.eps },
            flags: { SCALAR: width === 1 },
          },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [rowsOf(y), 1, 1],
        }
      },
    },
  ],
}

export const attentionSpec: KernelSpec = {
  op: 'attention',
  variants: [
    {
      name: 'attention_naive',
      summary: 'one workgroup a (token, head), online softmax over tiles of 64 keys',
      shader: attentionShader,
      supports: () => true,
      configure(problem) {
        invariant(problem.op.kind === 'attention', 'attention kernel')
        const { numHeads, numKvHeads, headDim, blockSize, scale } = problem.op.attrs
        const width = packWidth(problem, ['q', 'kCache', 'vCache', 'y'], headDim)
        return {
          bindings: [
            read('q', width),
            read('kCache', width),
            read('vCache', width),
            read('blockTables'),
            read('cuSeqlensQ'),
            read('contextLens'),
            write('y', width),
          ],
          constants: {
            u32: {
              HEAD_DIM: headDim,
              KV_HEADS: numKvHeads,
              HEADS_PER_KV: numHeads / numKvHeads,
              BLOCK_SIZE: blockSize,
            },
            f32: { SCALE: scale },
            flags: { SCALAR: width === 1 },
          },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [numHeads, rowsOf(tensorOf(problem, 'y')), 1],
        }
      },
    },
  ],
}

export const sampleSpec: KernelSpec = {
  op: 'sample',
  variants: [
    {
      name: 'sample',
      summary: 'one workgroup a row of logits, tree reduction of (score, id)',
      shader: sampleShader,
      supports: () => true,
      configure(problem) {
        const logits = tensorOf(problem, 'logits')
        return {
          bindings: [
            read('logits'),
            read('temperature'),
            read('seed'),
            read('tokenIndex'),
            read('targets'),
            write('sampled'),
          ],
          constants: { u32: { VOCAB: widthOf(logits) } },
          packWidth: 1,
          workgroupSize: [256, 1, 1],
          grid: [rowsOf(logits), 1, 1],
        }
      },
    },
  ],
}
