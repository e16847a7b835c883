import type { IncomingMessage } from 'node:http'
import type { FaultKind } from './faults.ts'
import type { ReceivedRequest } from './request.ts'
import type { Settings } from './options.ts'

/** Counts since the server started. */
export interface RequestStats {
  readonly requests: number
  /** Requests that reached the handler or the upstream. */
  readonly handled: number
  /** Requests whose answer was sent to its end, faulty statuses included. */
  readonly answered: number
  /** Requests that the handler answered with a status below 400, while the client got no such answer. */
  readonly lostAfterHandling: number
  /** How many requests met which fault; `none` are those that were just served. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** A request while it runs: the server writes what becomes of it. */
export type Entry = Writable<ReceivedRequest>

/** Remembers what happened. */
export class Journal {
  readonly requests: Entry[] = []
  readonly #settings: Settings
  readonly #attempts = new Map<string, number>()
  readonly #faults: Partial<Record<FaultKind, number>> = {}
  readonly #counts = { requests: 0, handled: 0, answered: 0, lostAfterHandling: 0 }

  constructor(settings: Settings) {
    this.#settings = settings
  }

  get stats(): RequestStats {
    return { ...this.#counts, faults: { ...this.#faults } }
  }

  /** Enters a request as it arrives. */
  open(incoming: IncomingMessage, atMs: number): Entry {
    const seen = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: joinedHeaders(incoming),
    }
    const identity = this.#settings.identify(seen)
    const attempt = (this.#attempts.get(identity) ?? 0) + 1
    this.#attempts.set(identity, attempt)
    const entry: Entry = {
      ...seen,
      index: this.#counts.requests++,
      atMs,
      identity,
      attempt,
      body: undefined,
      fault: 'none',
      handled: false,
      handlerStatus: undefined,
      status: undefined,
      outcome: 'pending',
    }
    this.requests.push(entry)
    if (this.requests.length > this.#settings.keepRequests) this.requests.shift()
    return entry
  }

  decided(entry: Entry, fault: FaultKind): void {
    entry.fault = fault
    this.#faults[fault] = (this.#faults[fault] ?? 0) + 1
  }

  handled(entry: Entry): void {
    entry.handled = true
    this.#counts.handled++
  }

  /** The exchange is over, one way or the other. */
  close(entry: Entry, answered: boolean): void {
    entry.outcome = answered ? 'answered' : 'cut'
    if (answered) this.#counts.answered++
    const succeeded = entry.handlerStatus !== undefined && entry.handlerStatus < 400
    if (succeeded && !(answered && entry.status === entry.handlerStatus)) this.#counts.lostAfterHandling++
  }
}

/** Node keeps the first of two `Authorization` lines and so on; here nothing is dropped. */
function joinedHeaders(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(incoming.headersDistinct).map(([name, values]) => [name, (values ?? []).join(', ')]),
  )
}
