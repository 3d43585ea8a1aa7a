// Kernels that turn logits into token ids: countTokens, processLogits, sample.

import processLogitsShader from '../../shaders/process_logits.wgsl?raw'
import sampleShader from '../../shaders/sample.wgsl?raw'
import countTokensShader from '../../shaders/sample_count_tokens.wgsl?raw'
import { packWidth, read, rowsOf, tensorOf, widthOf, write } from './shapes.ts'
import type { KernelSpec, KernelVariant } from './spec.ts'

const invocations = 256

const countTokensSpec: KernelSpec = {
  op: 'countTokens',
  variants: [
    {
      name: 'count_tokens',
      summary: 'one workgroup a sequence; each invocation owns every 256th id',
      shader: countTokensShader,
      supports: () => true,
      configure: (problem) => ({
        bindings: [
          read('ids'),
          read('cuSeqlensQ'),
          read('contextLens'),
          read('targets'),
          write('tokenCounts'),
        ],
        constants: { u32: { VOCAB: widthOf(tensorOf(problem, 'tokenCounts')) } },
        packWidth: 1,
        workgroupSize: [invocations, 1, 1],
        grid: [rowsOf(tensorOf(problem, 'contextLens')), 1, 1],
      }),
    },
  ],
}

const processLogitsSpec: KernelSpec = {
  op: 'processLogits',
  variants: [
    {
      name: 'process_logits',
      summary:
        'up to four workgroups a row; logits are looked up among the biases; neutral rows are left out',
      shader: processLogitsShader,
      supports: () => true,
      configure(problem) {
        const y = tensorOf(problem, 'y')
        const width = packWidth(problem, ['logits', 'y'])
        const packs = widthOf(y) / width
        const workgroups = Math.min(4, Math.ceil(packs / invocations))
        return {
          bindings: [
            read('logits', width),
            read('controls'),
            read('biasIds'),
            read('biasValues'),
            read('tokenCounts'),
            read('targets'),
            write('y', width),
          ],
          constants: { u32: { PACKS: packs, WORKGROUPS: workgroups }, flags: { SCALAR: width === 1 } },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [workgroups, rowsOf(y), 1],
        }
      },
    },
  ],
}

/** `nucleusRank`: which of the invocations' largest logits, by rank, top-p takes for a lower bound of what it keeps. */
function sampleVariant(
  name: string,
  summary: string,
  { invocations, nucleusRank }: { readonly invocations: number; readonly nucleusRank: number },
  supports: KernelVariant['supports'],
): KernelVariant {
  return {
    name,
    summary,
    shader: sampleShader,
    supports,
    configure(problem) {
      const logits = tensorOf(problem, 'logits')
      const truncates = problem.tensors['controls'] !== undefined
      const isProcessed = truncates && problem.tensors['processed'] !== undefined
      return {
        bindings: [
          read('logits'),
          ...(isProcessed ? [read('processed')] : []),
          ...(truncates ? [read('controls')] : []),
          read('temperature'),
          read('seed'),
          read('tokenIndex'),
          read('targets'),
          write('sampled'),
        ],
        constants: {
          u32: { VOCAB: widthOf(logits), NUCLEUS_RANK: nucleusRank },
          flags: { TRUNCATES: truncates, PROCESSED: isProcessed },
        },
        packWidth: 1,
        workgroupSize: [invocations, 1, 1],
        grid: [rowsOf(logits), 1, 1],
      }
    },
  }
}

const sampleSpec: KernelSpec = {
  op: 'sample',
  variants: [
    sampleVariant(
      'sample',
      'one workgroup a row; tree reduction of (score, id), thresholds by an eight-way search',
      { invocations, nucleusRank: 192 },
      () => true,
    ),
    sampleVariant(
      'sample_narrow',
      '64 invocations: a CPU runs them in turn anyway, and SwiftShader clears workgroup memory word by unrolled word',
      { invocations: 64, nucleusRank: 64 },
      (_, { adapterClass }) => adapterClass === 'software',
    ),
  ],
}

export const sampleSpecs: readonly KernelSpec[] = [countTokensSpec, processLogitsSpec, sampleSpec]
