import { expect, test } from 'vitest'
import { ANSWER, put } from './load.ts'
import { expectRequests } from './requests.ts'

const load = { url: '', concurrency: 2, durationMs: 5 }
const client = { library: 'ky', name: 'retry' }

test('requests are counted, each of them answered', async () => {
  let made = 0
  const { requests } = await put(async () => {
    made++
    return { ...ANSWER }
  }, load)
  expect(requests).toBe(made)
  expect(made).toBeGreaterThan(1)
})

test.each([
  ['nothing', undefined],
  ['a Response', new Response('{}')],
  ['a part', { sku: 'anchor', note: 'x' }],
])('a client that gives %s is not measured', async (_, answer) => {
  await expect(put(async () => answer, load)).rejects.toThrow('was to give what the service answered')
})

test('a client that asks more often than it is asked, or not at all, is not measured', () => {
  expect(() => expectRequests(client, 10, 10)).not.toThrow()
  for (const arrived of [9, 11])
    expect(() => expectRequests(client, 10, arrived)).toThrow(
      `ky retry was asked for 10 requests, and the service had ${arrived}`,
    )
})
