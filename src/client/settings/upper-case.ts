/** Method names as a set of capitals: the wire is case-sensitive, options need not be. */
export function upperCase(methods: readonly string[]): ReadonlySet<string> {
  return new Set(methods.map((method) => method.toUpperCase()))
}
