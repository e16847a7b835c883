type Method = (...args: unknown[]) => unknown

/** Out of habit, at the end of a handler: `release()` would lend the open transaction to others, `end()` undo it. */
const ENDINGS = new Map<string | symbol, Method>([
  ['release', () => {}],
  ['end', endNothing],
])

/** As pg does it: with a callback or with a promise. */
function endNothing(callback: unknown): Promise<void> | undefined {
  if (typeof callback !== 'function') return Promise.resolve()
  queueMicrotask(callback as () => void)
  return undefined
}

/**
 * The client as a handler gets it: the same in everything but that it can't be given back, and that it refuses queries
 * once the transaction is over, since the connection may be in other hands by then.
 */
export function lent<T extends object>(client: T, isOver: () => boolean): T {
  const methods = new Map<unknown, Method>()
  const handed: T = new Proxy(client, {
    get(target, name) {
      const ending = ENDINGS.get(name)
      if (ending !== undefined) return ending
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'constructor') return value
      let method = methods.get(value)
      if (method === undefined) methods.set(value, (method = methodOf(name, value as Method)))
      return method
    },
  })
  // Called on the client itself: a proxy has no private fields.
  const methodOf =
    (name: string | symbol, method: Method): Method =>
    (...args) => {
      if (name === 'query' && isOver()) throw new Error('postgresStore: the transaction has ended')
      const result = Reflect.apply(method, client, args)
      return result === client ? handed : result
    }
  return handed
}
