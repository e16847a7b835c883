import { expect, test } from 'vitest'
import { createFetch, type Transport } from '../../../index.ts'
import { parkAndResend } from './park-and-resend.ts'

/** How long it parks after each of these answers, before the last one is returned. */
async function waitsAfter(...answers: (() => Response)[]): Promise<number[]> {
  const transport: Transport = () => {
    const answer = answers.shift()
    return answer === undefined ? Promise.reject(new TypeError('no network')) : Promise.resolve(answer())
  }
  const waits: number[] = []
  const fetch = createFetch({
    fetch: transport,
    retry: false,
    circuitBreaker: { minimumCalls: 3, openMs: 60_000 },
  })
  const park = (waitMs: number): Promise<void> =>
    waits.push(waitMs) < 5 ? Promise.resolve() : Promise.reject(new Error('long enough'))
  await parkAndResend(fetch, 'http://api.test', { method: 'POST' }, park).catch(() => {})
  return waits
}

const failing =
  (headers: Record<string, string> = {}) =>
  (): Response =>
    new Response('', { status: 503, headers })
const confirmed = (): Response => new Response('', { status: 201 })

test('it waits for as long as the failure says, else a second', async () => {
  expect(await waitsAfter(confirmed)).toEqual([])
  expect(await waitsAfter(failing(), failing({ 'retry-after': '7' }), confirmed)).toEqual([1000, 7000])
})

test('a Retry-After that is a date is worth a second', async () => {
  expect(await waitsAfter(failing({ 'retry-after': new Date(0).toUTCString() }), confirmed)).toEqual([1000])
})

test('after a network error a second, after an open circuit until its test request', async () => {
  const waits = await waitsAfter()
  expect(waits.slice(0, 3)).toEqual([1000, 1000, 1000])
  expect(waits[3]).toBeGreaterThan(40_000)
})
