/**
 * The types of the client, as a user meets them. `npm run types` compiles this file; nothing here runs. Each
 * `@ts-expect-error` is a check too: it fails where the line below it has become legal.
 */
import {
  createFetch,
  DEFAULTS,
  isHoldfastError,
  outcomeOf,
  pipeline,
  retry,
  timeout,
  type HoldfastEvent,
  type HoldfastFetch,
  type HoldfastInit,
  type Policy,
} from '../../src/index.ts'

declare const resilient: HoldfastFetch
declare function use(...values: unknown[]): void

// Drop-in: it goes wherever a fetch goes, and a client that takes `typeof fetch` needs no cast.
resilient satisfies typeof fetch
use(resilient satisfies (input: string, init?: RequestInit) => Promise<Response>)
use(resilient satisfies (input: URL | RequestInfo, init?: RequestInit) => Promise<Response>)
use(resilient satisfies (request: Request) => Promise<Response>)

// Every kind of input, with or without the options of a call.
use(resilient('https://api.example.com') satisfies Promise<Response>)
use(resilient(new URL('https://api.example.com'), { method: 'POST' }) satisfies Promise<Response>)
const request = new Request('https://api.example.com')
use(resilient(request, { holdfast: { retry: false } }) satisfies Promise<Response>)
declare const plainInit: RequestInit
plainInit satisfies HoldfastInit
// @ts-expect-error No such option.
use(resilient('https://api.example.com', { holdfast: { retries: 3 } }))
// @ts-expect-error A policy of another name is spelled wrong, not ignored.
createFetch({ retries: { maxRetries: 3 } })
// @ts-expect-error Milliseconds, not words.
createFetch({ timeout: { totalMs: '5s' } })

// A download that breaks can go on, for all calls or for one.
createFetch({ retry: { resumeBody: true } })
use(resilient('https://api.example.com', { holdfast: { retry: { resumeBody: true } } }))
// @ts-expect-error On or off.
createFetch({ retry: { resumeBody: 'strong' } })
// @ts-expect-error The policy around any function knows nothing of bodies.
retry({ resumeBody: true })

// Every part can be switched off.
createFetch({ retry: false, circuitBreaker: false, idempotency: false, timeout: false, retryBudget: false })
createFetch({ fetch: globalThis.fetch })
createFetch({ fetch: resilient })

// Derived ones are of the same kind.
use(resilient.with({ timeout: { totalMs: 5000 } }) satisfies HoldfastFetch)

// An outcome may be missing, and its fields are read-only.
declare const response: Response
const outcome = outcomeOf(response)
// @ts-expect-error It may be undefined.
use(outcome.attempts)
use(outcome?.attempts satisfies number | undefined)
// @ts-expect-error Read-only.
if (outcome) outcome.attempts = 2

// A guard narrows what was caught.
function codeOf(error: unknown): string | undefined {
  return isHoldfastError(error) ? error.code : undefined
}
use(codeOf)

// Events are one union, told apart by `type`.
function describe(event: HoldfastEvent): string {
  if (event.type === 'retry') return `${event.delayMs} ms`
  if (event.type === 'resume') use(event.attempt satisfies number, event.offsetBytes satisfies number)
  // @ts-expect-error Only a retry has a delay.
  use(event.delayMs)
  return event.type
}
use(describe)

// A pipeline gives back what its function gives.
use(pipeline(timeout({ totalMs: 1000 }), retry()).execute(() => 1) satisfies Promise<number>)
use(pipeline(retry()).execute(async ({ signal }) => String(signal.aborted)) satisfies Promise<string>)
// @ts-expect-error Not a number.
use(pipeline(retry()).execute(() => 1) satisfies Promise<string>)

// An own policy needs no more than this.
const logged: Policy = { name: 'logged', wrap: (next) => async (context) => next(context) }
createFetch({ policies: [logged] })

// Defaults are constants.
use(DEFAULTS.retry.maxRetries satisfies 4)
// @ts-expect-error Read-only.
DEFAULTS.retry.maxRetries = 5
