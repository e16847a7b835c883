/** Properties of a client's or server's error that hold scopes, keys and responses: a statement's values, or a row. */
const SENSITIVE = ['query', 'parameters', 'args', 'types', 'detail', 'where'] as const

/** The error without what must not reach a log. A copy, since postgres.js defines these properties as read-only. */
export function redacted(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  if (!SENSITIVE.some((name) => Object.hasOwn(error, name))) return error
  const properties = Object.getOwnPropertyDescriptors(error)
  for (const name of SENSITIVE) Reflect.deleteProperty(properties, name)
  const copy = new Error()
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object | null)
  Object.defineProperties(copy, properties)
  // A getter in some versions of V8, which would give the stack of the copy.
  Object.defineProperty(copy, 'stack', { value: Reflect.get(error, 'stack'), enumerable: false })
  return copy
}
