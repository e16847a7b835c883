/**
 * What clients and servers hang on an error: the values of its statement, which are scopes, keys and responses, and the
 * row that it was about.
 */
const TELLING = ['query', 'parameters', 'args', 'types', 'detail', 'where'] as const

/** The error without what is nobody's business who reads a log. A copy, since postgres.js has it fixed to the error. */
export function discreet(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  if (!TELLING.some((name) => Object.hasOwn(error, name))) return error
  const properties = Object.getOwnPropertyDescriptors(error)
  for (const name of TELLING) Reflect.deleteProperty(properties, name)
  const copy = new Error()
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object | null)
  Object.defineProperties(copy, properties)
  // In some versions of V8 it is a getter, which would tell where the copy was made.
  Object.defineProperty(copy, 'stack', { value: Reflect.get(error, 'stack'), enumerable: false })
  return copy
}
