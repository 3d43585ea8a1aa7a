// Flags of the benchmarks and the parsers that check their values.

import { Option } from 'commander'
import type { FloatDType } from '../api/types.ts'
import { kernelFamilies } from '../bench/kernels.ts'
import { isSynthetic, syntheticNames } from '../bench/synthetic.ts'
import { usageFault } from './faults.ts'
import { choice, integer } from './options.ts'

export function benchModelOption(): Option {
  return new Option(
    '--model <model>',
    `a model directory, name, URL or hub id, or ${syntheticNames.join(', ')}`,
  )
    .argParser(benchModel)
    .default('synthetic:llama-110m')
}

function benchModel(model: string): string {
  if (model === '')
    throw usageFault('--model', 'a directory or a name', 'nothing', 'Leave the flag out for the default.')
  if (!isSynthetic(model) || syntheticNames.includes(model)) return model
  throw usageFault('--model', syntheticNames.join(' or '), model, 'Give one of these, or a model directory.')
}

export function countOption(
  flag: string,
  what: string,
  byDefault: number,
  { min = 1, max }: { readonly min?: number; readonly max?: number } = {},
): Option {
  const name = flag.split(' ')[0]!
  return new Option(flag, what).argParser(integer(name, min, max)).default(byDefault)
}

export function layersOption(): Option {
  return new Option('--layers <n>', 'decoder layers of a synthetic model')
    .argParser(integer('--layers', 1, 1000))
    .default(undefined, "the model's")
}

export function benchDtypeOption(): Option {
  return new Option('--dtype <type>', 'f32 or f16: of weights, activations and KV cache')
    .argParser(choice<FloatDType>('--dtype', ['f32', 'f16']))
    .default('f16')
}

export function adapterOption(): Option {
  return new Option('--adapter <name>', "part of a WebGPU adapter's name, where there are several").argParser(
    (value) => {
      if (value !== '') return value
      throw usageFault(
        '--adapter',
        "part of an adapter's name",
        'nothing',
        'Leave the flag out for the default.',
      )
    },
  )
}

export function familyOption(): Option {
  return new Option('--family <op>', `only kernels of ${kernelFamilies.join(', ')}`).argParser(
    choice('--family', kernelFamilies),
  )
}

/** `1,128,512`. */
export function counts(flag: string, max: number): (text: string) => number[] {
  const parse = integer(flag, 1, max)
  return (text) => text.split(',').map((part) => parse(part.trim()))
}
