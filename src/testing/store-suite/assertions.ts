/** Three assertions of our own: a store for workers or for Deno is tested there, where `node:assert` may be missing. */

class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly actual: unknown
  readonly expected: unknown

  constructor(message: string, actual: unknown, expected: unknown) {
    super(message)
    this.actual = actual
    this.expected = expected
  }
}

/** @throws AssertionError with `actual` and `expected`, which test runners show. */
export function assertEqual(actual: unknown, expected: unknown, what = ''): void {
  if (Object.is(actual, expected)) return
  const subject = what === '' ? '' : `${what}: `
  throw new AssertionError(`${subject}expected ${String(expected)}, got ${String(actual)}`, actual, expected)
}

export function assertTrue(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(`not as it should be: ${what}`, false, true)
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}
