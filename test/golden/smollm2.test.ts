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
  /** Between the best two logits of each step. */
  readonly margins: number[]
}

const { answers } = JSON.parse(readFileSync(`${fixturesDir}/golden/gguf/smollm2.json`, 'utf8')) as {
  answers: Answer[]
}

test.skipIf(smollm2.path === undefined)(
  `chat prompts are those of transformers${smollm2.reason}`,
  async () => {
    const { tokenizer, close } = await openModel(smollm2.path!)
    for (const { question, prompt } of answers)
      expect(encodeChat(tokenizer!, [{ role: 'user', content: question }])).toEqual(prompt)
    await close()
  },
)

// Rounding may turn the order of logits that are closer than this. No margin of the fixture is below 0.01, so in f32
// every token counts.
test.skipIf(smollm2.path === undefined).each([
  { dtype: 'f32', maxTokens: 40, undecided: 0.005 },
  { dtype: 'f16', maxTokens: 12, undecided: 0.05 },
] as const)(
  `greedy answers are those of transformers in $dtype${smollm2.reason}`,
  async ({ dtype, maxTokens, undecided }) => {
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
    for (const [i, { question, tokens, margins }] of answers.entries()) {
      const tie = margins.findIndex((margin) => margin < undecided)
      const length = Math.min(maxTokens, tokens.length, tie === -1 ? Infinity : tie)
      expect(length).toBeGreaterThan(7)
      expect([question, completions[i]!.choices[0]!.tokens.slice(0, length)]).toEqual([
        question,
        tokens.slice(0, length),
      ])
    }
  },
)
