import type { Clock } from '../../primitives/clock.ts'
import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../../idempotency/store.ts'
import { PurgeSchedule } from '../purge-schedule.ts'
import { decide, expiryMs, FULL_FOR_MS } from '../acquire-decision.ts'
import type { Connection, OpenTransaction, Query } from './connection.ts'
import type { SqliteStatement, SqliteValue } from './driver.ts'
import { bytesOf, numberIn, recordOf } from './row.ts'

const FIND = `SELECT state, fingerprint, owner, fence, lease_until_ms, expires_ms, response
  FROM holdfast_keys WHERE scope = ? AND key = ?`
const TAKE = `INSERT INTO holdfast_keys
    (scope, key, state, fingerprint, owner, fence, lease_until_ms, window_end_ms, expires_ms, response)
  VALUES (?, ?, 'active', ?, ?, ?, ?, ?, ?, NULL)
  ON CONFLICT (scope, key) DO UPDATE SET state = 'active', fingerprint = excluded.fingerprint,
    owner = excluded.owner, fence = excluded.fence, lease_until_ms = excluded.lease_until_ms,
    window_end_ms = excluded.window_end_ms, expires_ms = excluded.expires_ms, response = NULL
  RETURNING fence`
const HEARTBEAT = `UPDATE holdfast_keys SET lease_until_ms = ?, expires_ms = max(window_end_ms, ?)
  WHERE scope = ? AND key = ? AND owner = ? AND state = 'active' RETURNING fence`
/** Again by the same owner changes nothing: an answer that got lost can be asked for again. */
const COMPLETE = `UPDATE holdfast_keys
  SET response = CASE state WHEN 'done' THEN response ELSE ? END, state = 'done',
    expires_ms = CASE state WHEN 'done' THEN expires_ms ELSE max(window_end_ms, ?) END
  WHERE scope = ? AND key = ? AND owner = ? AND state IN ('active', 'done') RETURNING fence`
const RELEASE = `UPDATE holdfast_keys SET state = 'released'
  WHERE scope = ? AND key = ? AND owner = ? AND state IN ('active', 'released') RETURNING fence`
const READ = `SELECT response FROM holdfast_keys WHERE scope = ? AND key = ? AND fingerprint = ?`
const OWNED = `SELECT fence FROM holdfast_keys WHERE scope = ? AND key = ? AND owner = ? AND state = 'active'`
const COUNT = 'SELECT keys FROM holdfast_scopes WHERE scope = ?'
/** Neither looks at the keys that are kept: there may be a hundred thousand, and the event loop waits. */
const OVER = 'SELECT count(*) AS keys FROM holdfast_keys WHERE scope = ? AND expires_ms <= ?'
const EARLIEST = 'SELECT min(expires_ms) AS earliest FROM holdfast_keys WHERE scope = ? AND expires_ms > ?'
/** How many rows are deleted at a time, and up to how many bytes of responses: the event loop waits 1 ms for each MiB. */
const MOST_ROWS = 128
const ENOUGH_BYTES = 4_194_304
/** One row at least. What is before a row that comes after nothing, or after what has no response, is null. */
const purgeOf = (where: string): string => `DELETE FROM holdfast_keys WHERE rowid IN (SELECT id FROM (
    SELECT id, sum(bytes) OVER (ORDER BY expires_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM (SELECT rowid AS id, expires_ms, length(response) AS bytes FROM holdfast_keys WHERE ${where} LIMIT ${MOST_ROWS})
  ) WHERE before IS NULL OR before < ${ENOUGH_BYTES}) RETURNING fence`
const PURGE = purgeOf('expires_ms <= ?')
const PURGE_SCOPE = purgeOf('scope = ? AND expires_ms <= ?')
const EXPIRED = 'SELECT 1 FROM holdfast_keys WHERE expires_ms <= ? LIMIT 1'

interface FullScope {
  readonly keys: number
  /** On the wall clock. */
  readonly untilMs: number
  /** On this process's own. */
  readonly forgottenMs: number
}

export class SqliteStore implements IdempotencyStore {
  readonly name = 'sqlite'
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #purges: PurgeSchedule
  /**
   * Full scopes, and when the first of their keys expires: until then nobody has to look again, unless one of them is
   * taken anew or completed, which then may expire sooner than it would have. Other processes do that, too: what was
   * found is forgotten after a while.
   */
  readonly #fullScopes = new Map<string, FullScope>()

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
    this.#purges = new PurgeSchedule(clock)
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    // Most duplicates are answered without the write lock, even while somebody else holds it.
    const seen = await this.#connection.read((query) => this.#decide(query, request))
    if (seen.type !== 'take') return seen
    const full = seen.fence === 1 ? this.#knownFull(request) : undefined
    if (full !== undefined) return full
    return this.#connection.write((query) => this.#take(query, request))
  }

  async heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    const untilMs = this.#nowMs() + lease.leaseMs
    const changed = await this.#connection.write((query) =>
      changes(query(HEARTBEAT), untilMs, untilMs + lease.leaseMs, ...ownedBy(lease)),
    )
    return changed ? 'extended' : 'lost'
  }

  complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    return this.#connection.write((query) => this.#complete(query, lease, response))
  }

  async release(lease: Lease): Promise<'released' | 'stale'> {
    const changed = await this.#connection.write((query) => changes(query(RELEASE), ...ownedBy(lease)))
    return changed ? 'released' : 'stale'
  }

  async read(lease: Lease): Promise<Uint8Array | undefined> {
    const { scope, key, fingerprint } = lease
    const row = await this.#connection.read((query) => query(READ).get(scope, key, fingerprint))
    return row === undefined ? undefined : bytesOf(row, 'response')
  }

  async begin(lease: Lease | undefined): Promise<StoreTransaction | 'stale'> {
    const transaction = await this.#connection.begin()
    if (lease !== undefined && !(await isOwned(transaction, lease))) return 'stale'
    return {
      client: transaction.database,
      complete: (response) => this.#completeIn(transaction, lease, response),
      commit: () => transaction.commit(),
      rollback: () => transaction.rollback(),
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #nowMs(): number {
    return Math.round(this.#clock.wallNow())
  }

  #decide(query: Query, request: AcquireRequest): ReturnType<typeof decide> {
    const row = query(FIND).get(request.scope, request.key)
    return decide(row === undefined ? undefined : recordOf(row), request, this.#nowMs())
  }

  #take(query: Query, request: AcquireRequest): AcquireResult {
    const decision = this.#decide(query, request)
    if (decision.type !== 'take') return decision
    const nowMs = this.#nowMs()
    this.#purge(query, nowMs)
    const full = this.#full(query, request, nowMs)
    if (full !== undefined) return full
    const { scope, key, fingerprint, owner, ttlMs, leaseMs } = request
    const leaseUntilMs = nowMs + leaseMs
    const windowEndMs = nowMs + ttlMs
    const expiresMs = expiryMs(windowEndMs, leaseUntilMs, leaseMs)
    const values = [scope, key, fingerprint, owner, decision.fence, leaseUntilMs, windowEndMs, expiresMs]
    const row = query(TAKE).get(...values)
    this.#fullScopes.delete(scope)
    return { type: 'acquired', fence: numberIn(row, 'fence') }
  }

  #purge(query: Query, nowMs: number): void {
    const purges = this.#purges.isDue
    const rows = purges ? query(PURGE).all(nowMs).length : 0
    this.#purges.keyTaken(purges)
    // Where responses are that large, the next key takes more along: they may come faster than they would go.
    if (rows > 0 && rows < MOST_ROWS && query(EXPIRED).get(nowMs) !== undefined) this.#purges.retrySoon()
  }

  #full(
    query: Query,
    { scope, key, maxKeysPerScope }: AcquireRequest,
    nowMs: number,
  ): AcquireResult | undefined {
    const row = query(COUNT).get(scope)
    if (row === undefined || numberIn(row, 'keys') < maxKeysPerScope) return undefined
    // A key that has a row already adds none; one that has expired goes with the others.
    const own = query(FIND).get(scope, key)
    if (own !== undefined && recordOf(own).expiresMs > nowMs) return undefined
    query(PURGE_SCOPE).all(scope, nowMs)
    const left = query(COUNT).get(scope)
    if (left === undefined || numberIn(left, 'keys') < maxKeysPerScope) return undefined
    // Who has a larger limit may have let in more than are deleted at a time.
    const over = query(OVER).get(scope, nowMs)
    if (numberIn(left, 'keys') - numberIn(over, 'keys') < maxKeysPerScope) return undefined
    const untilMs = numberIn(query(EARLIEST).get(scope, nowMs), 'earliest')
    const forgottenMs = this.#clock.now() + FULL_FOR_MS
    this.#fullScopes.set(scope, { keys: maxKeysPerScope, untilMs, forgottenMs })
    return { type: 'full', limit: 'scope', retryAfterMs: untilMs - nowMs }
  }

  #knownFull({ scope, maxKeysPerScope }: AcquireRequest): AcquireResult | undefined {
    const full = this.#fullScopes.get(scope)
    if (full === undefined || full.keys < maxKeysPerScope) return undefined
    const retryAfterMs = full.untilMs - this.#nowMs()
    if (retryAfterMs > 0 && this.#clock.now() < full.forgottenMs)
      return { type: 'full', limit: 'scope', retryAfterMs }
    this.#fullScopes.delete(scope)
    return undefined
  }

  #complete(query: Query, lease: Lease, response: Uint8Array): 'completed' | 'stale' {
    const completeUntilMs = this.#nowMs() + lease.leaseMs
    this.#fullScopes.delete(lease.scope)
    return changes(query(COMPLETE), response, completeUntilMs, ...ownedBy(lease)) ? 'completed' : 'stale'
  }

  async #completeIn(
    transaction: OpenTransaction,
    lease: Lease | undefined,
    response: Uint8Array,
  ): Promise<'completed' | 'stale'> {
    if (lease === undefined) throw new Error('a transaction without a lease has nothing to complete')
    if (transaction.do(() => this.#complete(transaction.query, lease, response)) === 'stale') {
      await transaction.rollback()
      return 'stale'
    }
    await transaction.commit()
    return 'completed'
  }
}

/**
 * Whether a statement with RETURNING has changed a row. It is run to its end: `get` stops at the first row, and drivers
 * drop what goes wrong after that.
 */
function changes(statement: SqliteStatement, ...values: SqliteValue[]): boolean {
  return statement.all(...values).length > 0
}

function ownedBy({ scope, key, owner }: Lease): [scope: string, key: string, owner: string] {
  return [scope, key, owner]
}

/** Whether the lease still holds; a transaction for one that doesn't is rolled back. */
async function isOwned(transaction: OpenTransaction, lease: Lease): Promise<boolean> {
  let owned = false
  try {
    owned = transaction.query(OWNED).get(...ownedBy(lease)) !== undefined
  } finally {
    if (!owned) await transaction.rollback()
  }
  return owned
}
