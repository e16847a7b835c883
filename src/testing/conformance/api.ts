import { delay } from '../../primitives/delay.ts'
import { systemClock } from '../../primitives/clock.ts'
import { Scope } from '../../primitives/signal.ts'
import { textOf, type Exchange, type Reply, type StartGate } from './exchange.ts'
import type { FixtureRequest } from './fixture.ts'
import type { HeaderFields, Settings } from './options.ts'
import { Failed } from './failure.ts'
import { withoutSecrets } from './secrets.ts'

/** A request to the fixture's effects. */
export interface Ask {
  readonly method?: string
  /** What follows `/effects`: a path, a query. */
  readonly target?: string
  /** Idempotency-Key lines, as they are sent. */
  readonly key?: string | readonly string[] | undefined
  /** What the handler is asked for; a text is sent as it is. */
  readonly body?: (FixtureRequest & Readonly<Record<string, unknown>>) | string | undefined
  readonly headers?: HeaderFields
  /** Which of the two principals asks. Default the first. */
  readonly as?: 0 | 1
  readonly signal?: AbortSignal
  /** Sent when it opens. */
  readonly gate?: StartGate
}

/** Between two questions: soon at first, and less often the longer it takes. */
const POLL = { firstMs: 10, factor: 1.3, maxMs: 200 } as const

/** The API under test, as the rows speak to it. */
export class Api {
  readonly settings: Settings
  /** Aborts when the row's time is over. */
  readonly signal: AbortSignal
  readonly #bareKeys: boolean
  /** What has no answer yet, and since when; the oldest first. */
  readonly #unanswered = new Map<Ask, number>()

  constructor(settings: Settings, signal: AbortSignal, bareKeys: boolean) {
    this.settings = settings
    this.signal = signal
    this.#bareKeys = bareKeys
  }

  /** What has waited for its answer the longest, and for how long. */
  get unanswered(): { readonly ask: Ask; readonly forMs: number } | undefined {
    const [oldest] = this.#unanswered
    if (oldest === undefined) return undefined
    const [ask, sinceMs] = oldest
    return { ask, forMs: systemClock.now() - sinceMs }
  }

  /** A value that was never sent before. */
  newKey(): string {
    return this.written(crypto.randomUUID())
  }

  /** A key as this API takes it: quoted, or bare where it refuses the quoted form. */
  written(key: string): string {
    return this.#bareKeys ? key : `"${key}"`
  }

  send(ask: Ask = {}): Promise<Reply> {
    return this.#awaited(ask, () => this.#send(ask))
  }

  async #awaited(ask: Ask, work: () => Promise<Reply>): Promise<Reply> {
    // One of its own: the same ask may be under way more than once.
    const sent = { ...ask }
    this.#unanswered.set(sent, systemClock.now())
    try {
      return await work()
    } finally {
      this.#unanswered.delete(sent)
    }
  }

  async #send(ask: Ask): Promise<Reply> {
    const { method = 'POST', key, body, signal, gate } = ask
    return this.#exchange({
      method,
      url: this.#url(ask),
      headers: {
        ...(method === 'GET' || method === 'HEAD' ? {} : { 'content-type': 'application/json' }),
        ...this.#headers(ask),
        ...(key === undefined ? {} : { 'idempotency-key': [key].flat() }),
      },
      body: typeof body === 'object' ? JSON.stringify(body) : body,
      signal: signal === undefined || this.signal.aborted ? this.signal : signal,
      gate,
    })
  }

  /** The same for a key that no HTTP client would send. */
  async sendBytes(key: string): Promise<Reply> {
    const { exchangeBytes } = await import('./transport.ts')
    const url = this.#url({})
    const headers = { host: url.host, ...this.#headers({}), 'idempotency-key': key, 'content-length': '0' }
    const lines = Object.entries({ ...headers, connection: 'close' }).map(
      ([name, value]) => `${name}: ${value}`,
    )
    const first = `POST ${url.pathname} HTTP/1.1`
    return this.#awaited({ key }, () => exchangeBytes(url, [first, ...lines], this.signal))
  }

  /** How often the handler has run, ever. */
  async count(): Promise<number> {
    const reply = await this.askForCount()
    const count = Number(textOf(reply))
    if (reply.status === 200 && Number.isInteger(count)) return count
    throw new Failed(`GET __count answered ${reply.status || reply.error}`)
  }

  async askForCount(): Promise<Reply> {
    const url = new URL(`${this.settings.url}/__count`)
    const headers = this.#headers({})
    return this.#exchange({ method: 'GET', url, headers, body: undefined, signal: this.signal })
  }

  /** What `work` resolves to, and how often the handler ran meanwhile. */
  async counting<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly runs: number }> {
    const before = await this.count()
    const value = await work()
    return { value, runs: (await this.count()) - before }
  }

  /** Asks `condition` again and again, at most `forMs`. */
  async until(condition: () => Promise<boolean>, forMs: number): Promise<boolean> {
    const endMs = systemClock.now() + forMs
    for (let waitMs: number = POLL.firstMs; !(await condition()); waitMs *= POLL.factor) {
      if (this.signal.aborted || systemClock.now() > endMs) return false
      await delay(systemClock, Math.min(waitMs, POLL.maxMs), new Scope())
    }
    return true
  }

  async #exchange(request: Exchange): Promise<Reply> {
    const { exchange } = await import('./transport.ts')
    const reply = await exchange(request)
    const { settings } = this
    return {
      ...reply,
      // Before a message cuts or quotes it: what that leaves of a secret is not known for one any more.
      get shown() {
        return withoutSecrets(textOf(reply), settings)
      },
    }
  }

  #url({ target = '' }: Ask): URL {
    return new URL(`${this.settings.url}/effects${target}`)
  }

  #headers({ headers = {}, as = 0 }: Ask): Record<string, string> {
    return { ...this.settings.headers, ...this.settings.principals?.[as], ...headers }
  }
}
