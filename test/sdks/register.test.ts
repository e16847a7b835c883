/** An SDK that knows nothing of Holdfast, in a process that was started with `holdfast/register`. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../package/run.ts'
import { modules, projectWith } from './project.ts'
import { apiOf, keysOf, unavailable } from './support.ts'

const SCRIPT = `
  import OpenAI from 'openai'
  const client = new OpenAI({ apiKey: 'sk-17', baseURL: process.env.API, maxRetries: 0 })
  console.log((await client.models.retrieve('o-17')).id)
  const messages = [{ role: 'user', content: 'Which anchor holds best?' }]
  console.log((await client.chat.completions.create({ model: 'gpt', messages })).id)
`

test('holdfast/register stands under an SDK: its calls survive failures, keys go where they are honoured', async () => {
  using project = projectWith({ openai: join(modules, 'openai') })
  const answer = (): Response => Response.json({ id: 'o-17', choices: [] })
  const honours = await apiOf(answer, [unavailable])
  const ignores = await apiOf(answer, [unavailable])
  const outputOf = async (api: string): Promise<string> => {
    const args = ['--import', 'holdfast/register', '--input-type=module', '--eval', SCRIPT]
    const env = { API: api, HOLDFAST_HONORED_BY: honours.url, HOLDFAST_REPORT: '1' }
    const { status, output } = await run(process.execPath, args, { cwd: project.folder, env })
    expect(status, output).toBe(0)
    return output
  }
  for (const { url } of [honours, ignores]) {
    const output = await outputOf(url)
    expect(output).toContain('o-17\no-17\n')
    expect(output).toContain('holdfast: 2 calls, 3 requests, 1 retry, 0 failed')
  }
  expect(keysOf(honours)).toEqual([undefined, undefined, expect.stringMatching(/^[0-9a-f-]{36}$/)])
  expect(keysOf(ignores)).toEqual([undefined, undefined, undefined])
})
