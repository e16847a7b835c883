import type { Clock } from '../primitives/clock.ts'
import { randomUuid } from '../http/uuid.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import { appraise, usefulMs, varyOf, type Appraisal } from './freshness.ts'
import type { GuardedStore } from './guarded-store.ts'
import type { Asked, Keys } from './keys.ts'
import {
  decodeResponse,
  decodeUrl,
  encodeResponse,
  encodeUrl,
  type ResponseMeta,
  type StoredResponse,
  type UrlMeta,
} from './record.ts'

export interface ShelfParts {
  readonly store: GuardedStore
  readonly keys: Keys
  readonly staleIfErrorMs: number
}

/** A URL as it was when somebody looked: what is stored later must still fit it. */
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

/** A write is remembered for at least as long as reads that began before it may last. */
const MIN_RECORD_MS = 3_600_000

/**
 * Stored responses, by URL and by who asks. A record for each URL says by which headers its responses differ, and names
 * a generation that is part of their keys: a write that starts another one makes them all unreachable at once, whoever
 * they belong to.
 */
export class Shelf {
  readonly #parts: ShelfParts
  readonly #turns = new Map<string, Promise<unknown>>()
  #clears = 0

  constructor(parts: ShelfParts) {
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
  async find({ clock, record, clears }: Opened, asked: Asked): Promise<Found | undefined> {
    const { store, keys, staleIfErrorMs } = this.#parts
    const key = record && (await keys.ofResponse(asked, record.generation, record.vary))
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
  async fits({ record }: Opened, { key }: Found, asked: Asked): Promise<boolean> {
    if (record === undefined) return false
    return key === (await this.#parts.keys.ofResponse(asked, record.generation, record.vary))
  }

  /** Stores a response, unless its URL has been written to, or everything cleared, since it was opened. */
  async save(opened: Opened, asked: Asked, stored: StoredResponse): Promise<void> {
    const { clock, urlKey } = opened
    const { staleIfErrorMs } = this.#parts
    const appraisal = appraise(stored.meta, clock, staleIfErrorMs)
    const ttlMs = appraisal === undefined ? 0 : usefulMs(appraisal, staleIfErrorMs)
    if (ttlMs <= 0) return
    await this.#inTurn(urlKey, () => this.#write(opened, asked, stored, ttlMs))
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

  /** Once everything is there that had been read to its end: who has just read a response may count on it. */
  async written(url: string): Promise<void> {
    await this.#turns.get(await this.#parts.keys.ofUrl(url))
  }

  async clear(clock: Clock): Promise<void> {
    this.#clears++
    // What is being written now would come after it.
    await Promise.all(this.#turns.values())
    await this.#parts.store.clear(clock)
  }

  async #write(opened: Opened, asked: Asked, { meta, body }: StoredResponse, ttlMs: number): Promise<void> {
    const { clock, urlKey } = opened
    const { store, keys } = this.#parts
    const current = await store.get(clock, urlKey, decodeUrl)
    // A clear() that comes later waits for this turn, and then takes what it has written.
    if (opened.clears !== this.#clears || isOvertaken(opened.record, current)) return
    const vary = union(current?.vary ?? [], varyOfMeta(meta))
    if (vary.length > MAX_VARY) return
    const generation = current?.generation ?? randomUuid()
    const key = await keys.ofResponse(asked, generation, vary)
    if (key === undefined) return
    const record = extended(current, { generation, vary, nowMs: clock.wallNow(), ttlMs })
    if (record !== current) await store.set(clock, urlKey, encodeUrl(urlKey, record), 2 * ttlMs)
    await store.set(clock, key, encodeResponse(key, { meta, body }), ttlMs)
  }

  /**
   * One at a time for each URL, so that none overwrites what another has just read. It never rejects. On workers nobody
   * waits for another request, which may have ended within its turn: there it is as between two processes.
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

/** `undefined` for what fails: the store has told of it. */
async function attempted<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}

/** A record that a read began may have come of a read at the same time; anything else was a write. */
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
