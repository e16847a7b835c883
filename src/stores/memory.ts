/**
 * Keys in this process's memory: for one process, for tests, and for what may be forgotten with the process.
 *
 * @module
 */
import { systemClock, type Clock } from '../primitives/clock.ts'
import type { AcquireRequest, AcquireResult, IdempotencyStore, Lease } from '../idempotency/store.ts'
import { settled } from '../primitives/settled.ts'
import { checkInteger, checkKeys } from '../primitives/validate.ts'
import { decide, expiryMs, type KeyRecord } from './acquire-decision.ts'

/** What `memoryStore()` keeps at most. */
export const MEMORY_STORE_DEFAULTS = {
  maxRecords: 1_000_000,
  /** 256 MiB of responses. */
  maxBytes: 268_435_456,
} as const

export interface MemoryStoreOptions {
  /** How many keys are kept at most. Default 1,000,000. */
  maxRecords?: number | undefined
  /** How many bytes of responses are kept before new keys are refused. Default 256 MiB. */
  maxBytes?: number | undefined
  /** Default: the platform's time. */
  clock?: Clock | undefined
}

/**
 * A store in memory. It never forgets a key inside its window: when it is full, new keys are refused (503) until old
 * ones expire. Everything is lost when the process ends, so an operation is done at most once a process lifetime.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @example
 * const protect = idempotency({ store: memoryStore() })
 */
export function memoryStore(options: MemoryStoreOptions = {}): IdempotencyStore {
  checkKeys('memoryStore', options, ['maxRecords', 'maxBytes', 'clock'])
  const { maxRecords = MEMORY_STORE_DEFAULTS.maxRecords, maxBytes = MEMORY_STORE_DEFAULTS.maxBytes } = options
  checkInteger('memoryStore: maxRecords', maxRecords, 1)
  checkInteger('memoryStore: maxBytes', maxBytes, 1)
  return new MemoryStore(options.clock ?? systemClock, maxRecords, maxBytes)
}

interface MemoryRecord extends KeyRecord {
  readonly scope: Scope
  readonly key: string
  readonly windowEndMs: number
  state: KeyRecord['state']
  leaseUntilMs: number
  expiresMs: number
  response: Uint8Array | undefined
  /** Its neighbours in the order of arrival. A second Map, with records for keys, took 4 of 5 us of an acquire. */
  before: MemoryRecord | undefined
  after: MemoryRecord | undefined
}

/** Records that are swept together. */
interface RecordSet {
  /** Before that nobody looks for expired records. */
  earliestMs: number
  readonly size: number
  records(): Iterable<MemoryRecord>
}

/** The records of one client. */
class Scope implements RecordSet {
  readonly name: string
  readonly byKey = new Map<string, MemoryRecord>()
  earliestMs = Infinity

  constructor(name: string) {
    this.name = name
  }

  get size(): number {
    return this.byKey.size
  }

  records(): Iterable<MemoryRecord> {
    return this.byKey.values()
  }
}

/** All records, in the order of arrival. */
class Arrivals implements RecordSet {
  first: MemoryRecord | undefined
  #last: MemoryRecord | undefined
  size = 0
  earliestMs = Infinity

  add(record: MemoryRecord): void {
    record.before = this.#last
    if (this.#last === undefined) this.first = record
    else this.#last.after = record
    this.#last = record
    this.size++
  }

  delete({ before, after }: MemoryRecord): void {
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    this.size--
  }

  *records(): Generator<MemoryRecord> {
    let record = this.first
    while (record !== undefined) {
      // It may be deleted.
      const { after } = record
      yield record
      record = after
    }
  }
}

/** How many records an acquire checks for expiry: more than the one it adds, so that expired ones do not pile up. */
const SWEEP = 2

/** A full set is checked no more often than this many records per ms, even if one of them expires every ms. */
const CHECKED_PER_MS = 1000

/**
 * Each method is one synchronous step without an `await`, which makes it atomic. Responses are copied in and out, so
 * that a caller who changes its bytes does not change the record.
 */
class MemoryStore implements IdempotencyStore {
  readonly name = 'memory'
  readonly #clock: Clock
  readonly #maxRecords: number
  readonly #maxBytes: number
  readonly #scopes = new Map<string, Scope>()
  readonly #all = new Arrivals()
  /** The record that is swept next; `undefined` to start with the oldest. */
  #next: MemoryRecord | undefined
  #bytes = 0

  constructor(clock: Clock, maxRecords: number, maxBytes: number) {
    this.#clock = clock
    this.#maxRecords = maxRecords
    this.#maxBytes = maxBytes
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    return settled(this.#acquire(request))
  }

  async heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    const record = this.#owned(lease)
    if (record === undefined) return 'lost'
    record.leaseUntilMs = this.#clock.now() + lease.leaseMs
    this.#expire(record, record.leaseUntilMs, lease)
    return 'extended'
  }

  complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    return settled(this.#complete(lease, response))
  }

  async release(lease: Lease): Promise<'released' | 'stale'> {
    const record = this.#owned(lease, 'released')
    if (record === undefined) return 'stale'
    record.state = 'released'
    return 'released'
  }

  async read(lease: Lease): Promise<Uint8Array | undefined> {
    const record = this.#find(lease)
    if (record?.response === undefined || record.fingerprint !== lease.fingerprint) return undefined
    return new Uint8Array(record.response)
  }

  #acquire(request: AcquireRequest): AcquireResult {
    const nowMs = this.#clock.now()
    this.#sweep(nowMs)
    const found = this.#unexpired(request, nowMs)
    const decision = decide(found, request, nowMs)
    if (decision.type === 'done') return { type: 'done', response: new Uint8Array(decision.response) }
    if (decision.type !== 'take') return decision
    const full = found === undefined ? this.#full(request, nowMs) : undefined
    if (full !== undefined) return full
    if (found !== undefined) this.#delete(found)
    this.#insert(request, decision.fence, nowMs)
    return { type: 'acquired', fence: decision.fence }
  }

  #complete(lease: Lease, response: Uint8Array): 'completed' | 'stale' {
    const record = this.#owned(lease, 'done')
    if (record === undefined) return 'stale'
    if (record.state === 'done') return 'completed'
    record.state = 'done'
    record.response = new Uint8Array(response)
    this.#expire(record, this.#clock.now(), lease)
    this.#bytes += response.length
    return 'completed'
  }

  /** The record of a key; an expired one is deleted, since the sweep may not have got to it. */
  #unexpired(lease: Lease, nowMs: number): MemoryRecord | undefined {
    const record = this.#find(lease)
    if (record === undefined || record.expiresMs > nowMs) return record
    this.#delete(record)
    return undefined
  }

  #find({ scope, key }: Lease): MemoryRecord | undefined {
    return this.#scopes.get(scope)?.byKey.get(key)
  }

  /** The caller's record, while it is in progress or already in the state the caller wants. */
  #owned(lease: Lease, wanted?: KeyRecord['state']): MemoryRecord | undefined {
    const record = this.#find(lease)
    if (record === undefined || record.owner !== lease.owner) return undefined
    return record.state === 'active' || record.state === wanted ? record : undefined
  }

  /** Whether there is no room for one more key, once what has expired is gone. */
  #full({ scope, maxKeysPerScope }: AcquireRequest, nowMs: number): AcquireResult | undefined {
    const own = this.#scopes.get(scope)
    if (own !== undefined && own.byKey.size >= maxKeysPerScope) {
      this.#free(own, nowMs)
      // Requests with a larger limit may have let in more than have expired.
      if (own.byKey.size >= maxKeysPerScope)
        return { type: 'full', limit: 'scope', retryAfterMs: own.earliestMs - nowMs }
    }
    if (!this.#crowded) return undefined
    this.#free(this.#all, nowMs)
    if (!this.#crowded) return undefined
    return { type: 'full', limit: 'store', retryAfterMs: this.#all.earliestMs - nowMs }
  }

  get #crowded(): boolean {
    return this.#all.size >= this.#maxRecords || this.#bytes >= this.#maxBytes
  }

  /** Deletes expired records; looks at none before one can have expired, so that a full store refuses quickly. */
  #free(set: RecordSet, nowMs: number): void {
    if (nowMs < set.earliestMs) return
    let earliestMs = Infinity
    for (const record of set.records()) {
      if (record.expiresMs <= nowMs) this.#delete(record)
      else earliestMs = Math.min(earliestMs, record.expiresMs)
    }
    set.earliestMs = Math.max(earliestMs, nowMs + set.size / CHECKED_PER_MS)
  }

  #insert(request: AcquireRequest, fence: number, nowMs: number): void {
    const { scope, key, fingerprint, owner } = request
    const windowEndMs = nowMs + request.ttlMs
    let own = this.#scopes.get(scope)
    if (own === undefined) this.#scopes.set(scope, (own = new Scope(scope)))
    const record: MemoryRecord = {
      scope: own,
      key,
      fingerprint,
      owner,
      fence,
      windowEndMs,
      state: 'active',
      leaseUntilMs: nowMs + request.leaseMs,
      expiresMs: windowEndMs,
      response: undefined,
      before: undefined,
      after: undefined,
    }
    own.byKey.set(key, record)
    this.#all.add(record)
    this.#expire(record, record.leaseUntilMs, request)
  }

  #expire(record: MemoryRecord, sinceMs: number, { leaseMs }: Lease): void {
    record.expiresMs = expiryMs(record.windowEndMs, sinceMs, leaseMs)
    this.#all.earliestMs = Math.min(this.#all.earliestMs, record.expiresMs)
    record.scope.earliestMs = Math.min(record.scope.earliestMs, record.expiresMs)
  }

  #delete(record: MemoryRecord): void {
    const { scope } = record
    scope.byKey.delete(record.key)
    if (scope.byKey.size === 0) this.#scopes.delete(scope.name)
    if (this.#next === record) this.#next = record.after
    this.#all.delete(record)
    this.#bytes -= record.response?.length ?? 0
  }

  /** Checks the next few records, in turn: so expired ones are deleted without a timer. */
  #sweep(nowMs: number): void {
    for (let looked = 0; looked < SWEEP; looked++) {
      const record = this.#next ?? this.#all.first
      if (record === undefined) return
      this.#next = record.after
      if (record.expiresMs <= nowMs) this.#delete(record)
    }
  }
}
