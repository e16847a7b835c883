import { CommitError, isRefused, type Call, type DatabaseTransaction, type Row } from './database.ts'
import {
  firstRow,
  type PostgresJsQuery,
  type PostgresJsSql,
  type PostgresJsTransaction,
} from './postgres-js-client.ts'

type MakeQuery = (sql: PostgresJsTransaction, call: Call) => PostgresJsQuery

/** What makes postgres.js roll back. */
const ROLLBACK = new Error('rolled back')

interface Opened {
  readonly client: PostgresJsTransaction
  readonly first: Row
}

/**
 * `sql.begin(fn)` ends a transaction with `fn`; here `fn` waits until it is told how. Where the connection breaks, `fn`
 * is left alone: postgres.js would send its ROLLBACK to whatever the connection has become by then.
 */
export async function beginPostgresJs(
  sql: PostgresJsSql,
  first: Call,
  query: MakeQuery,
): Promise<DatabaseTransaction> {
  const end = deferred<void>()
  const opened = deferred<Opened>()
  const loss = { error: undefined as unknown }
  const ended = sql.begin(async (client) => {
    opened.resolve({ client, first: firstRow(await query(client, first)) })
    return end.promise
  })
  ended.catch((error: unknown) => {
    loss.error = error
    opened.reject(error)
  })
  return new OpenTransaction(await opened.promise, query, end, ended, loss)
}

class OpenTransaction implements DatabaseTransaction {
  readonly client: unknown
  readonly first: Row
  readonly #sql: PostgresJsTransaction
  readonly #query: MakeQuery
  readonly #end: Deferred<void>
  readonly #ended: Promise<unknown>
  readonly #loss: { readonly error: unknown }

  constructor(
    { client, first }: Opened,
    query: MakeQuery,
    end: Deferred<void>,
    ended: Promise<unknown>,
    loss: { readonly error: unknown },
  ) {
    this.client = guarded(client, loss)
    this.first = first
    this.#sql = client
    this.#query = query
    this.#end = end
    this.#ended = ended
    this.#loss = loss
  }

  async commit(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw new CommitError('rolled-back', this.#loss.error)
    const call = this.#query(this.#sql, last).execute()
    // Its COMMIT follows at once. If the call fails, that COMMIT is a rollback.
    this.#end.resolve()
    const [ended, called] = await Promise.allSettled([this.#ended, call])
    const failed = ended.status === 'rejected' ? ended : called
    if (failed.status === 'rejected') {
      throw new CommitError(isRefused(failed.reason) ? 'rolled-back' : 'unknown', failed.reason)
    }
  }

  async rollback(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw this.#loss.error
    const call = this.#query(this.#sql, last).execute()
    this.#end.reject(ROLLBACK)
    const [called] = await Promise.allSettled([call, this.#ended])
    if (called.status === 'rejected') throw called.reason
  }
}

/**
 * Refuses everything once the connection has broken: postgres.js would open it again for a later query, which would
 * then run outside of any transaction, or in somebody else's.
 */
function guarded<T extends object>(sql: T, loss: { readonly error: unknown }): T {
  const check = (): void => {
    if (loss.error !== undefined) {
      throw new Error('postgresStore: the connection of the transaction broke', { cause: loss.error })
    }
  }
  return new Proxy(sql, {
    apply(target, self, args: unknown[]) {
      check()
      return Reflect.apply(target as () => unknown, self, args)
    },
    get(target, name) {
      check()
      const value: unknown = Reflect.get(target, name)
      if (name !== 'savepoint' || typeof value !== 'function') return value
      return (...args: unknown[]): unknown =>
        Reflect.apply(
          value,
          target,
          args.map((arg) => (typeof arg === 'function' ? guardedWork(arg, loss) : arg)),
        )
    },
  })
}

/** What runs inside a savepoint gets a function of its own. */
const guardedWork =
  (work: object, loss: { readonly error: unknown }) =>
  (sql: object): unknown =>
    Reflect.apply(work as () => unknown, undefined, [guarded(sql, loss)])

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(reason: unknown): void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve: (value) => resolve(value), reject: (reason) => reject(reason) }
}
