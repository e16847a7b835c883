import type { Clock } from '../primitives/clock.ts'
import { randomUuid } from '../http/uuid.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import { appraise, usefulMs, varyOf, type Appraisal } from './freshness.ts'
import type { GuardedStore } from './guarded-store.ts'
import type { RequestIdentity, Keys } from './keys.ts'
import {
  decodeResponse,
  decodeUrl,
  encodeResponse,
  encodeUrl,
  type ResponseMeta,
  type StoredResponse,
  type UrlMeta,
} from './record.ts'

export interface ResponseStorageParts {
  readonly store: GuardedStore
  readonly keys: Keys
  readonly staleIfErrorMs: number
}

/** The state of a URL when a call began: what the call stores later must still fit it. */
export interface Opened {
  readonly clock: Clock
  readonly urlKey: string
  readonly record: UrlMeta | undefined
  /** How often everything had been cleared. */
  readonly clears: number
}

export interface Found extends StoredResponse {
  readonly key: string
  readonly appraisal: Appraisal
}

/** By how many request headers the responses of one URL may differ. */
const MAX_VARY = 20

/** A write is remembered at least this long, so that a slow read that began before it stores nothing after it. */
const MIN_RECORD_MS = 3_600_000

/**
 * Stored responses, by URL and by requester. A record for each URL holds the headers by which its responses vary, and a
 * generation that is part of their keys: a write starts a new generation, and so invalidates the responses of all
 * requesters at once.
 */
export class ResponseStorage {
  readonly #parts: ResponseStorageParts
  readonly #turns = new Map<string, Promise<unknown>>()
  #clears = 0

  constructor(parts: ResponseStorageParts) {
    this.#parts = parts
  }

  /** `undefined` when the store fails: then nothing is served, and nothing stored. */
  async open(clock: Clock, url: string): Promise<Opened | undefined> {
    const clears = this.#clears
    const urlKey = await this.#parts.keys.ofUrl(url)
    return attempted(async () => {
      const record = await this.#parts.store.get(clock, urlKey, decodeUrl)
      return { clock, urlKey, record, clears }
    })
  }

  /** The response that is stored for a request. */
  async find({ clock, record, clears }: Opened, request: RequestIdentity): Promise<Found | undefined> {
    const { store, keys, staleIfErrorMs } = this.#parts
    const key = record && (await keys.ofResponse(request, record.generation, record.vary))
    if (key === undefined) return undefined
    const stored = await attempted(() => store.get(clock, key, decodeResponse))
    // Whoever cleared everything meanwhile must not see it again.
    if (stored === undefined || clears !== this.#clears) return undefined
    const appraisal = appraise(stored.meta, clock, staleIfErrorMs)
    if (appraisal !== undefined && usefulMs(appraisal, staleIfErrorMs) > 0)
      return { ...stored, key, appraisal }
    await this.forget(clock, key)
    return undefined
  }

  async forget(clock: Clock, key: string): Promise<void> {
    await attempted(() => this.#parts.store.delete(clock, key))
  }

  /** Whether a stored response would be found by another request too: who asks, and how, is the same. */
  async fits({ record }: Opened, { key }: Found, request: RequestIdentity): Promise<boolean> {
    if (record === undefined) return false
    return key === (await this.#parts.keys.ofResponse(request, record.generation, record.vary))
  }

  /** Stores a response, unless its URL has been written to, or everything cleared, since it was opened. */
  async save(opened: Opened, request: RequestIdentity, stored: StoredResponse): Promise<void> {
    const { clock, urlKey } = opened
    const { staleIfErrorMs } = this.#parts
    const appraisal = appraise(stored.meta, clock, staleIfErrorMs)
    const ttlMs = appraisal === undefined ? 0 : usefulMs(appraisal, staleIfErrorMs)
    if (ttlMs <= 0) return
    await this.#inTurn(urlKey, () => this.#write(opened, request, stored, ttlMs))
  }

  /** Makes every response of these URLs invalid (RFC 9111, 4.4). */
  async invalidate(clock: Clock, urls: readonly string[]): Promise<void> {
    const { store, keys, staleIfErrorMs } = this.#parts
    const ttlMs = Math.max(staleIfErrorMs, MIN_RECORD_MS)
    const one = async (url: string): Promise<void> => {
      const key = await keys.ofUrl(url)
      const record = { generation: randomUuid(), vary: [], untilMs: clock.wallNow() + ttlMs }
      const entry = encodeUrl(key, { ...record, bornBy: 'write' })
      await this.#inTurn(key, () => store.set(clock, key, entry, ttlMs))
    }
    await Promise.all(urls.map((url) => one(url)))
  }

  /** Resolves once every response of the URL that was read to its end is stored. */
  async written(url: string): Promise<void> {
    await this.#turns.get(await this.#parts.keys.ofUrl(url))
  }

  async clear(clock: Clock): Promise<void> {
    this.#clears++
    // What is being written now would come after it.
    await Promise.all(this.#turns.values())
    await this.#parts.store.clear(clock)
  }

  async #write(
    opened: Opened,
    request: RequestIdentity,
    { meta, body }: StoredResponse,
    ttlMs: number,
  ): Promise<void> {
    const { clock, urlKey } = opened
    const { store, keys } = this.#parts
    const current = await store.get(clock, urlKey, decodeUrl)
    // A clear() that comes later waits for this turn, and then takes what it has written.
    if (opened.clears !== this.#clears || isOvertaken(opened.record, current)) return
    const vary = union(current?.vary ?? [], varyOfMeta(meta))
    if (vary.length > MAX_VARY) return
    const generation = current?.generation ?? randomUuid()
    const key = await keys.ofResponse(request, generation, vary)
    if (key === undefined) return
    const record = extended(current, { generation, vary, nowMs: clock.wallNow(), ttlMs })
    if (record !== current) await store.set(clock, urlKey, encodeUrl(urlKey, record), 2 * ttlMs)
    await store.set(clock, key, encodeResponse(key, { meta, body }), ttlMs)
  }

  /**
   * Runs one piece of work at a time for each URL, so that a write does not overwrite what another one bases on its read.
   * Never rejects. On workers a request must not wait for another one, which may have ended in its turn: there turns are
   * not kept, as between two processes.
   */
  #inTurn(urlKey: string, work: () => Promise<void>): Promise<unknown> {
    if (onWorkers()) return attempted(work)
    const before = this.#turns.get(urlKey)
    const turn = attempted(async () => {
      await before
      await work()
    }).finally(() => {
      if (this.#turns.get(urlKey) === turn) this.#turns.delete(urlKey)
    })
    this.#turns.set(urlKey, turn)
    return turn
  }
}

/** `undefined` where `work` fails: `GuardedStore` has reported it. */
async function attempted<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}

/** Whether the URL was written to since `before`. A new record by a read does not count: that read was concurrent. */
function isOvertaken(before: UrlMeta | undefined, current: UrlMeta | undefined): boolean {
  if (current === undefined || current.generation === before?.generation) return false
  return before !== undefined || current.bornBy === 'write'
}

interface Extension {
  readonly generation: string
  readonly vary: readonly string[]
  readonly nowMs: number
  readonly ttlMs: number
}

/** The record as it has to be: the same object where it will do. It outlives its responses, and is written seldom. */
function extended(current: UrlMeta | undefined, { generation, vary, nowMs, ttlMs }: Extension): UrlMeta {
  const isEnough =
    current !== undefined && current.vary.length === vary.length && current.untilMs >= nowMs + ttlMs
  if (isEnough) return current
  const untilMs = Math.max(current?.untilMs ?? 0, nowMs + 2 * ttlMs)
  return { generation, bornBy: current?.bornBy ?? 'read', vary, untilMs }
}

const union = (one: readonly string[], other: readonly string[]): readonly string[] =>
  [...new Set([...one, ...other])].toSorted()

function varyOfMeta({ headers }: ResponseMeta): readonly string[] {
  const value = new Map(headers).get('vary')
  return value === undefined ? [] : varyOf(new Headers({ vary: value }))
}
