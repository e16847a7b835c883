import { invalidOption } from '../primitives/validate.ts'

/**
 * The client's side of draft-ietf-httpapi-idempotency-key-header-07: the key's form on the wire.
 */

/** How a key is written: as it is, or as a structured-field string (RFC 9651), in quotes. */
export type KeyFormat = 'bare' | 'sf-string'

/** What a header can carry unchanged: printable ASCII, without spaces at its ends. */
const PRINTABLE = /^[!-~](?:[ -~]*[!-~])?$/

/** @throws {HoldfastError} ERR_INVALID_OPTION */
export function checkKey(name: string, key: unknown): asserts key is string {
  if (typeof key !== 'string' || !PRINTABLE.test(key)) {
    throw invalidOption(name, 'a key of printable ASCII characters', key)
  }
}

export function formatKey(key: string, format: KeyFormat): string {
  return format === 'bare' ? key : `"${key.replaceAll(/["\\]/g, '\\$&')}"`
}

/** The key of a header value; both forms of writing it are the same key. */
export function parseKey(value: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(value)
  return quoted?.[1] === undefined ? value : quoted[1].replaceAll(/\\(["\\])/g, '$1')
}
