/** A storm: many calls of one client, over a service that does whatever chance says, all on a virtual clock. */
import { httpCache } from '../../../src/cache/index.ts'
import type { Clock } from '../../../src/primitives/clock.ts'
import {
  createFetch,
  outcomeOf,
  type FetchOptions,
  type FetchOutcome,
  type HoldfastEvent,
} from '../../../src/index.ts'
import { seededRandom, virtualClock, type VirtualClock } from '../../../src/testing/index.ts'
import { tick } from './wait.ts'

/** What the service does with one request. */
export interface Weather {
  readonly afterMs: number
  /** A status, or how the connection ends: before the request has left, or after. */
  readonly gives: number | 'refused' | 'reset' | 'throws'
  readonly retryAfterS: number | undefined
  /** Whether the transport goes on with what was called off. */
  readonly isDeaf: boolean
}

/** What a caller asks for. */
export interface Asked {
  readonly startMs: number
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body: 'text' | 'stream' | 'request'
  readonly abortAfterMs: number | undefined
}

export type StormOptions = Pick<
  FetchOptions,
  'retry' | 'circuitBreaker' | 'idempotency' | 'timeout' | 'retryBudget' | 'bulkhead' | 'hedge' | 'coalesce'
> & {
  readonly hasFallback: boolean
  readonly hasCache: boolean
  readonly hasHook: boolean
}

export interface Storm {
  readonly options: StormOptions
  readonly asked: readonly Asked[]
  readonly weather: readonly Weather[]
  readonly seed: number
}

/** A request as the service saw it. */
export interface Sent {
  readonly method: string
  readonly url: string
  readonly key: string | null
  /** `undefined` where it could not be read to its end. */
  readonly body: Promise<string | undefined>
  readonly startMs: number
  readonly weather: Weather
  readonly signal: AbortSignal | null | undefined
  /** Whether the transport still works on it. */
  isRunning: boolean
}

/** How a call ended for its caller. */
export interface Ended {
  readonly asked: Asked
  readonly reason: Error
  readonly endMs: number
  readonly response: Response | undefined
  readonly error: unknown
  readonly outcome: FetchOutcome | undefined
  readonly text: string | undefined
}

export interface Aftermath {
  readonly ended: readonly Ended[]
  readonly sent: readonly Sent[]
  readonly events: readonly (HoldfastEvent & { readonly atMs: number })[]
  /** The most requests that ran at once, of those that nobody had called off. */
  readonly mostRunning: number
  /** The waits of the client's that were left when all calls had ended. */
  readonly waitsLeft: number
}

/** How often it looks whether all calls have ended: for seconds. */
const LOOKS = 2000

const ORIGIN = 'http://storm.test'

/** A clock that tells how many waits somebody has left on it. */
function countingClock(clock: Clock): Clock & { readonly waits: number } {
  const waits = new Set<object>()
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    schedule(callback, delayMs, options) {
      const wait = {}
      waits.add(wait)
      const timer = clock.schedule(() => (waits.delete(wait), callback()), delayMs, options)
      return { cancel: () => (waits.delete(wait), timer.cancel()) }
    },
    get waits() {
      return waits.size
    },
  }
}

/** A key that stays in flight is waited for until it is forgotten: a day, where nothing ends the call. */
const CLEARS_AFTER = 1000
const CLEAR: Weather = { afterMs: 0, gives: 200, retryAfterS: undefined, isDeaf: false }

class Service {
  readonly sent: Sent[] = []
  mostRunning = 0
  readonly #clock: VirtualClock
  readonly #weather: readonly Weather[]

  constructor(clock: VirtualClock, weather: readonly Weather[]) {
    this.#clock = clock
    this.#weather = weather
  }

  readonly fetch = (url: string, init: RequestInit = {}): Promise<Response> => {
    const number = this.sent.length
    const weather = number < CLEARS_AFTER ? this.#weather[number % this.#weather.length] : CLEAR
    if (weather === undefined) throw new Error('a storm without weather')
    const { method = 'GET', signal } = init
    const key = new Headers(init.headers).get('idempotency-key')
    const body = new Response(init.body ?? null).text().catch(() => undefined)
    const sent = { method, url, key, body, startMs: this.#clock.now(), weather, signal, isRunning: true }
    this.sent.push(sent)
    this.mostRunning = Math.max(this.mostRunning, this.sent.filter(isWanted).length)
    if (weather.gives === 'throws') {
      sent.isRunning = false
      throw new TypeError('thrown at once')
    }
    return this.#answer(sent)
  }

  #answer(sent: Sent): Promise<Response> {
    const { weather, signal } = sent
    return new Promise((resolve, reject) => {
      const end = (): void => {
        sent.isRunning = false
        try {
          resolve(responseOf(weather))
        } catch (error) {
          reject(error)
        }
      }
      const timer = this.#clock.schedule(end, weather.afterMs)
      if (weather.isDeaf) return
      signal?.addEventListener('abort', () => {
        if (!sent.isRunning) return
        sent.isRunning = false
        timer.cancel()
        reject(signal.reason as Error)
      })
    })
  }
}

const isWanted = ({ isRunning, signal }: Sent): boolean => isRunning && signal?.aborted !== true

function responseOf({ gives, retryAfterS }: Weather): Response {
  if (typeof gives === 'string') {
    const code = gives === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET'
    throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) })
  }
  const headers: Record<string, string> = retryAfterS === undefined ? {} : { 'retry-after': `${retryAfterS}` }
  return new Response(gives === 204 ? null : `a ${gives}`, { status: gives, headers })
}

function initOf({ method, body, path }: Asked, signal: AbortSignal): RequestInit & { duplex?: 'half' } {
  if (method === 'GET' || body === 'request') return { method, signal }
  const text = `the body of ${path}`
  if (body === 'text') return { method, signal, body: text }
  return { method, signal, body: new Blob([text]).stream(), duplex: 'half' }
}

function inputOf({ method, body, path }: Asked): string | Request {
  const url = ORIGIN + path
  if (body !== 'request') return url
  return method === 'GET' ? new Request(url) : new Request(url, { method, body: `the body of ${path}` })
}

/** Lets it pass, and tells what was left. */
export async function weathered({ options, asked, weather, seed }: Storm): Promise<Aftermath> {
  const clock = virtualClock()
  const service = new Service(clock, weather)
  const events: (HoldfastEvent & { atMs: number })[] = []
  const { hasFallback, hasCache, hasHook, ...rest } = options
  const own = countingClock(clock)
  const fetch = createFetch({
    ...rest,
    clock: own,
    random: seededRandom(seed),
    fetch: service.fetch,
    fallback: hasFallback && (() => new Response('substitute')),
    cache: hasCache && httpCache(),
    beforeAttempt: hasHook && (async () => {}),
    onEvent: (event) => void events.push({ ...event, atMs: clock.now() }),
  })
  const ended: Ended[] = []
  let waitsLeft = 0
  const call = async (one: Asked): Promise<void> => {
    const controller = new AbortController()
    const reason = new Error(`the caller of ${one.path} has left`)
    if (one.abortAfterMs !== undefined) clock.schedule(() => controller.abort(reason), one.abortAfterMs)
    const end = { asked: one, reason, response: undefined, error: undefined, text: undefined }
    try {
      const response = await fetch(inputOf(one), initOf(one, controller.signal))
      const endMs = clock.now()
      ended.push({ ...end, endMs, response, outcome: outcomeOf(response), text: await response.text() })
    } catch (error) {
      ended.push({ ...end, endMs: clock.now(), error, outcome: outcomeOf(error) })
    }
    if (ended.length === asked.length) clock.schedule(() => (waitsLeft = own.waits), 0)
  }
  for (const one of asked) clock.schedule(() => void call(one), one.startMs)
  await clock.runAll()
  // A digest of the cache's takes real time.
  for (let look = 0; ended.length < asked.length && look < LOOKS; look++) {
    await tick(1)
    await clock.runAll()
  }
  return { ended, sent: service.sent, events, mostRunning: service.mostRunning, waitsLeft }
}
