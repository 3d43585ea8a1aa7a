// A real chat model, SmolLM2-135M-Instruct, from its GGUF file: greedy answers to five questions in one batch are those
// of transformers on the same file (test/golden/make/smollm2.py). Skipped where the file is not there.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createEngineOn } from '../../src/api/model.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import { openModel } from '../../src/node.ts'
import { encodeChat } from '../../src/text/tokenizer.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { smollm2 } from '../helpers/smollm2.ts'

interface Answer {
  readonly question: string
  readonly prompt: number[]
  /** Of at most 40 steps, the last one perhaps the end of the text. */
  readonly tokens: number[]
}

const { answers } = JSON.parse(readFileSync(`${fixturesDir}/golden/gguf/smollm2.json`, 'utf8')) as {
  answers: Answer[]
}

test.skipIf(smollm2.path === undefined)(
  `chat prompts are those of transformers${smollm2.reason}`,
  async () => {
    const model = await openModel(smollm2.path!)
    for (const { question, prompt } of answers)
      expect(encodeChat(model.tokenizer!, [{ role: 'user', content: question }])).toEqual(prompt)
    await model.close()
  },
)

/** Steps that are compared, as many as the fixture has. */
const maxTokens = 40

/** Best and second-best logit are 0.0116 apart at the least: rounding to halves has been seen to leave all in order. */
test.skipIf(smollm2.path === undefined).each(['f32', 'f16'] as const)(
  `greedy answers in %s are those of transformers, to the last token${smollm2.reason}`,
  async (dtype) => {
    const model = await openModel(smollm2.path!)
    await using engine = await createEngineOn(await openDawnDevice(), model, {
      dtype,
      maxSeqLen: 128,
      maxNumSeqs: answers.length,
    })
    await model.close()
    const completions = await Promise.all(
      answers.map(({ prompt }) =>
        engine.completions.create({ prompt, temperature: 0, max_tokens: maxTokens }),
      ),
    )
    for (const [i, { question, tokens }] of answers.entries())
      expect({ question, tokens: completions[i]!.choices[0]!.tokens }).toEqual({ question, tokens })
  },
)
