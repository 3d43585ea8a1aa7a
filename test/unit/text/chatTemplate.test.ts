// Expected prompts were rendered with Python's jinja2 as transformers sets it up.
import { describe, expect, test } from 'vitest'
import { createChatTemplate, templateSource, type ChatMessage } from '../../../src/text/chatTemplate.ts'
import { createTokenizer, encodeChat } from '../../../src/text/tokenizer.ts'
import { filesWith, llamaTokenizer } from './fixtures.ts'

const llama2 =
  "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}" +
  '{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}' +
  "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
  "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}" +
  "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}" +
  "{% else %}{% set content = message['content'] %}{% endif %}" +
  "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}" +
  "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"

const chatMl =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}" +
  "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

const tokens = { bosToken: '<s>', eosToken: '</s>' }
const hi: ChatMessage = { role: 'user', content: ' Hi ' }

const render = (
  source: string,
  ...rest: Parameters<ReturnType<typeof createChatTemplate>['render']>
): string => createChatTemplate('m chat template', source, tokens).render(...rest)

describe('render', () => {
  test('Llama 2', () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      hi,
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: 'Bye' },
    ]
    expect(render(llama2, messages)).toBe(
      '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello. </s><s>[INST] Bye [/INST]',
    )
  })

  test('ChatML, with and without the generation prompt', () => {
    const prompt = '<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n'
    expect(render(chatMl, [hi])).toBe(`${prompt}<|im_start|>assistant\n`)
    expect(render(chatMl, [hi], { addGenerationPrompt: false })).toBe(prompt)
  })

  test('loops over ranges as Python does', () => {
    const list = (range: string): string => render(`{% for i in ${range} %}{{ i }} {% endfor %}`, [])
    expect(list('range(3)')).toBe('0 1 2 ')
    expect(list('range(2, 5)')).toBe('2 3 4 ')
    expect(list('range(5, 0, -2)')).toBe('5 3 1 ')
    expect(list('range(0)')).toBe('')
    expect(() => list('range(1000000000)')).toThrow('got range(0, 1000000000, 1). Change the conversation.')
  })

  test('tools are none unless given', () => {
    const source = '{% if tools is none %}none{% else %}{{ tools | tojson }}{% endif %}'
    expect(render(source, [])).toBe('none')
    expect(render(source, [], { tools: [{ name: 'f' }] })).toBe('[{"name": "f"}]')
  })

  test('the date is in English whatever the host speaks', () => {
    const now = new Date(2026, 4, 3, 14, 5, 6)
    expect(render("{{ strftime_now('%d %b %Y %B %A %a %H:%M:%S %I %p %y %m %% %Q') }}", [], { now })).toBe(
      '03 May 2026 May Sunday Sun 14:05:06 02 PM 26 05 % %Q',
    )
  })

  test("a refusal carries the template's message", () => {
    expect(() => render(llama2, [hi, hi])).toThrow(
      '[text/template] m chat template: expected messages that the template accepts, ' +
        'got Conversation roles must alternate user/assistant/user/assistant/.... Change the conversation.',
    )
  })

  test('a broken template fails when it is used, not when it is made', () => {
    const template = createChatTemplate('m', '{% if %}', tokens)
    expect(() => template.render([hi])).toThrow(expect.objectContaining({ code: 'text/template' }))
  })
})

test('the template text of tokenizer_config.json', () => {
  expect(templateSource('x')).toBe('x')
  expect(
    templateSource([
      { name: 'tool_use', template: 'y' },
      { name: 'default', template: 'z' },
    ]),
  ).toBe('z')
  expect(templateSource([{ name: 'tool_use', template: 'y' }])).toBeUndefined()
  expect(templateSource(undefined)).toBeUndefined()
  expect(templateSource({ default: 'x' })).toBeUndefined()
})

describe('encodeChat', () => {
  const tokenizerConfig = {
    chat_template: '{{ bos_token + messages[0].content }}',
    bos_token: { content: '<s>' },
  }

  test('one BOS, the one of the template', () => {
    const tokenizer = createTokenizer(filesWith(llamaTokenizer(), { tokenizerConfig }))
    expect(encodeChat(tokenizer, [{ role: 'user', content: 'hello' }])).toEqual([1, 274])
  })

  test('chat_template.jinja precedes tokenizer_config.json', () => {
    const files = filesWith(llamaTokenizer(), { tokenizerConfig, chatTemplate: 'hello' })
    expect(encodeChat(createTokenizer(files), [hi])).toEqual([274])
  })

  test('BOS by id when the configuration has no text for it', () => {
    const files = filesWith(llamaTokenizer(), {
      modelConfig: { bos_token_id: 1 },
      chatTemplate: '{{ bos_token }}',
    })
    expect(createTokenizer(files).chatTemplate?.render([])).toBe('<s>')
  })

  test('a model without a template', () => {
    const tokenizer = createTokenizer(filesWith(llamaTokenizer()))
    expect(() => encodeChat(tokenizer, [hi])).toThrow(expect.objectContaining({ code: 'text/template' }))
  })
})
