import { createFetch, outcomeOf } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { expect, test } from 'vitest'

test('a second attempt comes after a second', async () => {
  const clock = virtualClock()
  const answers = [new Response(null, { status: 503 }), new Response('anchor')]
  const send = async () => answers.shift() ?? new Response()
  const fetch = createFetch({ clock, fetch: send, retry: { jitter: 'none' } })

  const call = fetch('https://api.example.com/orders')
  await clock.advance(999)
  expect(answers).toHaveLength(1)
  await clock.advance(1)
  expect(outcomeOf(await call)?.delaysMs).toEqual([1000])
})
