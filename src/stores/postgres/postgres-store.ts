import { systemClock, type Clock } from '../../primitives/clock.ts'
import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../../idempotency/store.ts'
import {
  sqlState,
  type Call,
  type Database,
  type DatabaseTransaction,
  type Row,
  type Value,
} from './database.ts'
import { redacted } from './redact.ts'
import { PurgeSchedule } from '../purge-schedule.ts'
import { escaped, indexable } from './escape.ts'
import { RecordingTransaction } from './recording-transaction.ts'
import { ScopeCapacity } from './scope-capacity.ts'

export interface PostgresStoreParts {
  readonly database: Database
  /** What `migrate()` runs. */
  readonly migration: string
  /** The time, in ms since the epoch, for tests; the server's own without it. */
  readonly nowMs?: () => number
  /** What tells when to purge, and to count anew. Default: the platform's time. */
  readonly clock?: Clock
}

/** Keys in Postgres, and what is to be done for them now and then. */
export interface PostgresStore extends IdempotencyStore {
  begin(lease: Lease | undefined): Promise<StoreTransaction | 'stale'>
  /**
   * Creates the tables and functions where there are none; upgrades those of an earlier version, and makes sure that
   * they are of this one.
   * Several processes may call it at once. @throws when they are of a later version, or somebody else's
   */
  migrate(): Promise<void>
  /** Deletes what has expired, in batches; resolves to how many. New keys do that, too, a few rows at a time. */
  purge(): Promise<number>
}

/** How many expired rows a new key takes along. */
const PURGE_ROWS = 128
const PURGE_ALL_ROWS = 1000

/** How often a statement is sent that the server refuses because another one came first. */
const MAX_TRIES = 5
const RETRYABLE = new Set(['40001', '40P01'])
const LOCK_NOT_AVAILABLE = '55P03'
/** Undefined function, table, schema; no right to use the schema is another matter. */
const MISSING = new Set(['42883', '42P01', '3F000'])

const BUSY: AcquireResult = { type: 'busy', retryAfterMs: 1000 }

/** For an answer that no function of this store gives. */
const unexpectedAnswer = (answer: unknown): Error =>
  new Error(`postgresStore: unexpected answer of the database: ${String(answer)}`)

export class DatabaseStore implements PostgresStore {
  readonly name = 'postgres'
  readonly #parts: PostgresStoreParts
  readonly #capacity: ScopeCapacity
  readonly #purges: PurgeSchedule

  constructor(parts: PostgresStoreParts) {
    this.#parts = parts
    const { clock = systemClock } = parts
    this.#capacity = new ScopeCapacity(clock)
    this.#purges = new PurgeSchedule(clock)
  }

  migrate(): Promise<void> {
    // Under a stricter default it would not see what another process has just made.
    const sql = `SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n${this.#parts.migration}`
    return this.#parts.database.script(sql)
  }

  async purge(): Promise<number> {
    for (let deleted = 0; ;) {
      const batch = numberOf(await this.#text('purge', [PURGE_ALL_ROWS, this.#now()]))
      deleted += batch
      if (batch < PURGE_ALL_ROWS) return deleted
    }
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    const [scope, key] = await recordOf(request)
    const { maxKeysPerScope } = request
    const room = this.#capacity.expect(scope, maxKeysPerScope)
    const purges = this.#purges.isDue
    // Whatever becomes of it: where deleting takes too long, the next new key must not fail of it, too.
    if (purges) this.#purges.keyTaken(true)
    const claim = [escaped(request.fingerprint), escaped(request.owner), request.leaseMs, request.ttlMs]
    const limits = [maxKeysPerScope, room.counting ? 1 : 0, room.fullUntilMs, purges ? PURGE_ROWS : 0]
    const takeover = request.abandoned === 'takeover' ? 1 : 0
    const values = [scope, key, ...claim, takeover, ...limits, this.#now()]
    const row = await this.#row({ name: 'acquire', values }).catch(orBusy)
    if (row === undefined) return BUSY
    this.#note(row, scope, maxKeysPerScope, purges)
    return resultOf(row)
  }

  async heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    const values = [...(await ownedBy(lease)), lease.leaseMs, this.#now()]
    return oneOf(['extended', 'lost'], await this.#text('heartbeat', values))
  }

  async complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    const values = await this.#completion(lease, response)
    const answer = await this.#text('complete', values)
    this.#capacity.noteChange(await indexable(lease.scope))
    return oneOf(['completed', 'stale'], answer)
  }

  async release(lease: Lease): Promise<'released' | 'stale'> {
    return oneOf(['released', 'stale'], await this.#text('release', await ownedBy(lease)))
  }

  async read(lease: Lease): Promise<Uint8Array | undefined> {
    const content = await this.#text('read', [...(await recordOf(lease)), escaped(lease.fingerprint)])
    return content === null ? undefined : bytesOf(content)
  }

  async begin(lease: Lease | undefined): Promise<StoreTransaction | 'stale'> {
    const values = lease === undefined ? [null, null, null, 0] : [...(await ownedBy(lease)), lease.leaseMs]
    const lock: Call = { name: 'lock', values }
    const transaction = await this.#begin(lock)
    const [number, answer] = transaction.first
    const check: Call = { name: 'check', values: [String(number)] }
    const recording = new RecordingTransaction(transaction, {
      check,
      finish: async (response) => {
        if (lease === undefined) throw new Error('a transaction without a lease has nothing to complete')
        this.#capacity.noteChange(await indexable(lease.scope))
        return { name: 'finish', values: [...check.values, ...(await this.#completion(lease, response))] }
      },
      isUndone: async () => lease !== undefined && (await this.#isStillActive(lock)),
    })
    if (answer === 'locked') return recording
    await recording.rollback()
    return 'stale'
  }

  /**
   * Whether a record is in progress under its owner, once nobody has it locked any more: a transaction locks it from its
   * beginning to its end, and a commit would have completed it.
   */
  async #isStillActive(lock: Call): Promise<boolean> {
    const [, answer] = await this.#row(lock).catch(() => [])
    return answer === 'locked'
  }

  async #completion(lease: Lease, response: Uint8Array): Promise<Value[]> {
    const bytes = Buffer.from(response.buffer, response.byteOffset, response.byteLength)
    return [...(await ownedBy(lease)), lease.leaseMs, bytes.toString('base64'), this.#now()]
  }

  #begin(first: Call): Promise<DatabaseTransaction> {
    return withRetries(() => this.#parts.database.begin(first))
  }

  #row(call: Call): Promise<Row> {
    const { database } = this.#parts
    return withRetries((isFirst) => (isFirst ? database.call(call) : database.callReadCommitted(call)))
  }

  async #text(name: string, values: readonly Value[]): Promise<unknown> {
    return (await this.#row({ name, values }))[0]
  }

  #now(): number | null {
    return this.#parts.nowMs?.() ?? null
  }

  /** Learns from an acquire's answer how full the scope is, and whether rows were purged. */
  #note([answer, , content]: Row, scope: string, maxKeys: number, purged: boolean): void {
    if (answer === 'full') this.#capacity.noteFull(scope, maxKeys, numberOf(content))
    if (answer !== 'acquired') {
      if (purged) this.#purges.retrySoon()
      return
    }
    if (!purged) this.#purges.keyTaken(false)
    if (content === null) this.#capacity.noteChange(scope)
    else this.#capacity.noteRoom(scope, maxKeys, numberOf(content))
  }
}

/**
 * Under a stricter isolation level than READ COMMITTED the server refuses the later of two transactions, instead of
 * letting it wait. It is tried again, at most so often: among many the same one may come late each time.
 */
async function withRetries<T>(attempt: (isFirst: boolean) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt(tries === 1).catch(throwRedacted)
    } catch (error) {
      const state = sqlState(error) ?? ''
      if (MISSING.has(state)) {
        throw new Error('postgresStore: tables or functions are missing: call migrate() first', {
          cause: error,
        })
      }
      if (!RETRYABLE.has(state) || tries >= MAX_TRIES) throw error
    }
  }
}

function throwRedacted(error: unknown): never {
  throw redacted(error)
}

/** Another transaction holds a lock for too long: to this request the key is busy. */
function orBusy(error: unknown): undefined {
  if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error
}

function resultOf([type, number, content]: Row): AcquireResult {
  switch (type) {
    case 'acquired':
      return { type, fence: numberOf(number) }
    case 'busy':
      return { type, retryAfterMs: numberOf(number) }
    case 'done':
      return { type, response: bytesOf(content) }
    case 'full':
      return { type, limit: 'scope', retryAfterMs: numberOf(number) }
    case 'mismatch':
    case 'abandoned':
      return { type }
    default:
      throw unexpectedAnswer(type)
  }
}

async function recordOf({ scope, key }: Lease): Promise<[scope: string, key: string]> {
  return [await indexable(scope), await indexable(key)]
}

async function ownedBy(lease: Lease): Promise<[scope: string, key: string, owner: string]> {
  return [...(await recordOf(lease)), escaped(lease.owner)]
}

function oneOf<const T extends string>(allowed: readonly T[], answer: unknown): T {
  const found = allowed.find((each) => each === answer)
  if (found === undefined) throw unexpectedAnswer(answer)
  return found
}

function numberOf(value: unknown): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : NaN
  if (!Number.isFinite(number)) throw unexpectedAnswer(value)
  return number
}

/** Bytes come as Base64: what clients make of `bytea` depends on settings of theirs and of the server's. */
function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw unexpectedAnswer(value)
  const bytes = Buffer.from(value, 'base64')
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
