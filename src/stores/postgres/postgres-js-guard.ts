/** How a transaction's connection broke, once it has. */
export interface Loss {
  error: unknown
}

/** What of a transaction's function makes queries, beside the function itself. */
const QUERYING = new Set<string | symbol>(['unsafe', 'file', 'notify'])

type Work = (sql: object) => unknown

/**
 * The function of a transaction, which refuses everything once the connection has broken. postgres.js (3.4) itself would
 * open the connection again for a later query, which would then run outside of any transaction or in somebody else's;
 * for one that follows at once it would end the process (it writes to a socket that is null), or never answer.
 */
export function guarded<T extends object>(sql: T, loss: Loss): T {
  const call = (target: unknown, self: unknown, args: readonly unknown[]): unknown => {
    check(loss)
    // Both come from the proxied function itself.
    return watched(Reflect.apply(target as () => unknown, self, args), loss)
  }
  return new Proxy(sql, {
    apply: (target, self, args: unknown[]) => call(target, self, args),
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'savepoint') return savepointOf(value as (...args: unknown[]) => Promise<unknown>, loss)
      if (!QUERYING.has(name)) return value
      return (...args: unknown[]): unknown => call(value, target, args)
    },
  })
}

function check(loss: Loss): void {
  if (loss.error === undefined) return
  throw new Error('postgresStore: the connection of the transaction broke', { cause: loss.error })
}

/** What runs inside a savepoint gets a function of its own. On a broken connection nothing is left to roll back. */
function savepointOf(savepoint: (...args: unknown[]) => Promise<unknown>, loss: Loss) {
  return (...args: readonly unknown[]): Promise<unknown> => {
    check(loss)
    return new Promise((resolve, reject) => {
      const guardedWork = (work: Work) => async (sql: object) => {
        try {
          const result = work(guarded(sql, loss))
          return await (Array.isArray(result) ? Promise.all(result) : result)
        } catch (error) {
          if (loss.error === undefined) throw error
          reject(error)
          return new Promise(() => {})
        }
      }
      const guardedArgs = args.map((arg) => (typeof arg === 'function' ? guardedWork(arg as Work) : arg))
      savepoint(...guardedArgs).then(resolve, reject)
    })
  }
}

/** Notices a broken connection before anybody who awaits the query does. A query's own `then` would send it. */
function watched(query: unknown, loss: Loss): unknown {
  if (query instanceof Promise) {
    const note = (error: unknown): void => {
      if (isBroken(error)) loss.error ??= error
    }
    void Promise.prototype.then.call(query, undefined, note)
  }
  return query
}

/** An error of the client's own about its connection, or of the socket. */
export function isBroken(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  return 'syscall' in error || ('code' in error && String(error.code).startsWith('CONNECTION_'))
}
