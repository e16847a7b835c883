/** A fetch over a scripted transport, for what is told of its calls; no sockets. */
import { createFetch, type FetchOptions, type HoldfastFetch, type Transport } from '../../src/index.ts'
import type { IdempotencyEvent } from '../../src/idempotency/index.ts'
import { testClock, type TestClock } from '../client/support/clock.ts'

/** With a secret in every place where there is one. */
export const SECRET = 's3cr3t'
export const TARGET: string = `https://api.test:8443/orders?token=${SECRET}`
export const SHOWN = 'https://api.test:8443/orders'

export interface Scripted {
  readonly clock: TestClock
  readonly fetch: HoldfastFetch
  readonly sent: Headers[]
}

/** A status, a response, or an error that is thrown. */
export type Answer = number | Response | Error

/** Answers in this order, the last one for ever; each takes 250 ms. */
export function scripted(answers: readonly Answer[], options: FetchOptions = {}): Scripted {
  const clock = testClock()
  const sent: Headers[] = []
  const transport: Transport = async (_, init) => {
    sent.push(new Headers(init?.headers))
    const answer = answers[Math.min(sent.length, answers.length) - 1] ?? 200
    await new Promise<void>((resolve) => clock.schedule(resolve, 250, { keepAlive: true }))
    if (answer instanceof Error) throw answer
    return typeof answer === 'number' ? new Response('', { status: answer }) : answer
  }
  return { clock, sent, fetch: createFetch({ clock, fetch: transport, random: () => 0.5, ...options }) }
}

export const replayed = (): Response =>
  new Response('', { status: 201, headers: { 'idempotent-replayed': 'true' } })

export const WRITE: RequestInit = {
  method: 'POST',
  body: SECRET,
  headers: { authorization: SECRET, cookie: SECRET },
}

const request = { method: 'POST', path: '/orders', key: SECRET }

/** Of the server half: one of each kind that is counted in its own way. */
export const SERVER_EVENTS: readonly IdempotencyEvent[] = [
  { type: 'acquired', ...request, fence: 1 },
  { type: 'completed', ...request, fence: 1, status: 201, durationMs: 40, replayable: true },
  { type: 'replayed', ...request, status: 201 },
  { type: 'replayed', ...request, status: 201 },
  { type: 'rejected', ...request, code: 'request-in-flight', status: 409 },
  { type: 'store-error', ...request, operation: 'complete', error: new Error(SECRET) },
  { type: 'waited', ...request, durationMs: 10, ending: 'answered' },
]
