import type { Clock } from '../../../src/primitives/clock.ts'
import { createFetch, isHoldfastError, type HoldfastFetch } from '../../../src/index.ts'
import { seededRandom } from '../../../src/testing/seeded-random.ts'
import { LATE_SENDING, MOST_SENDINGS, TIMES, type TortureSettings } from '../settings.ts'
import { digestOf, type Ending } from './observation.ts'
import type { Tally } from './tally.ts'

export interface ClientOptions {
  readonly settings: Pick<TortureSettings, 'seed'>
  readonly transactional: boolean
  readonly url: string
  /** Counts requests, and why operations had to be sent again. */
  readonly traffic: Tally
  readonly clock: Clock
  /** Whether the machine gives this process too little time for any service to answer it in time. */
  readonly isStarved: () => boolean
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch
}

/** From here on a pause has its greatest length. */
const MOST_TROUBLE = 1 + Math.log2(TIMES.longestParkMs / TIMES.parkMs)

/** One of the crowd: Holdfast as it is, its times scaled down with those of the servers. */
export class Client {
  readonly #options: ClientOptions
  readonly #name: string
  readonly #fetch: HoldfastFetch
  readonly #random: () => number
  /** Up with each sending without a definite answer, down with each definite answer. */
  #trouble = 0

  constructor(number: number, options: ClientOptions) {
    this.#options = options
    this.#name = `client ${number}`
    this.#random = seededRandom(options.settings.seed, this.#name, 'pauses')
    this.#fetch = createFetch({
      clock: options.clock,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
      retry: { baseDelayMs: 25, maxDelayMs: 400 },
      timeout: { attemptMs: TIMES.attemptMs, totalMs: TIMES.totalMs },
      circuitBreaker: { windowMs: 1000, openMs: 100, maxOpenMs: 400 },
      random: seededRandom(options.settings.seed, this.#name),
      onEvent: ({ type }) => {
        if (type === 'attempt-start') options.traffic.add('requests')
        else if (type === 'circuit-open') options.traffic.add('circuit openings')
      },
    })
  }

  /** Sends an operation until there is a definite answer: what fails is parked, then sent again with the same key. */
  async perform(operation: number, key: string): Promise<Ending> {
    for (let sendings = 0; ;) {
      if (this.#trouble > 0) await this.#pause()
      const sent = await this.#send(operation, key).catch((error: unknown) => reasonOf(error))
      this.#learn(typeof sent !== 'string')
      if (typeof sent !== 'string') return sent
      this.#options.traffic.add(`parked, ${sent}`)
      sendings += this.#options.isStarved() ? LATE_SENDING : 1
      if (sendings >= MOST_SENDINGS) return { type: 'wrong', what: `no definite answer, at last: ${sent}` }
    }
  }

  #learn(isDefinite: boolean): void {
    this.#trouble = Math.min(Math.max(this.#trouble + (isDefinite ? -1 : 1), 0), MOST_TROUBLE)
  }

  /**
   * Without it a crowd that is too much for its machine stays too much: each request is given up on before its turn
   * comes, and the next one stands behind all that nobody waits for any more.
   */
  #pause(): Promise<void> {
    const ms = TIMES.parkMs * 2 ** (this.#trouble - 1) * (0.5 + 0.5 * this.#random())
    return new Promise((resolve) => {
      this.#options.clock.schedule(resolve, ms, { keepAlive: true })
    })
  }

  /** Resolves to why there is no definite answer, where there is none. */
  async #send(operation: number, key: string): Promise<Ending | string> {
    const response = await this.#fetch(this.#options.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: this.#name },
      body: JSON.stringify({ operation }),
      holdfast: { idempotencyKey: key },
    })
    const body = new Uint8Array(await response.arrayBuffer())
    return this.#read(response, body)
  }

  #read({ status, headers }: Response, body: Uint8Array): Ending | string {
    const replayed = headers.get('idempotent-replayed') === 'true'
    const digest = digestOf(status, headers.get('content-type'), body)
    if (status === 201) return { type: 'confirmed', replayed, digest }
    if (headers.get('idempotency-status') === 'stored' && status === 500) {
      return { type: 'failed', replayed, digest }
    }
    if (status >= 500 || headers.has('retry-after')) return `status ${status}`
    const text = new TextDecoder().decode(body)
    if (status !== 409 || !text.includes('outcome-unknown')) {
      return { type: 'wrong', what: `${status} ${text.slice(0, 200)}` }
    }
    // Where a key is taken over the next one to ask finds out; where it is blocked nobody does.
    return this.#options.transactional ? 'outcome unknown' : { type: 'unknown' }
  }
}

function reasonOf(error: unknown): string {
  if (isHoldfastError(error)) return error.code
  return error instanceof Error ? error.message : String(error)
}
