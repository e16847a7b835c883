import { parseItem } from 'structured-headers'
import { SERVER_DEFAULTS } from './defaults.ts'

export type KeySyntax = 'lenient' | 'strict'

/** Printable ASCII without quote, comma and backslash: a bare UUID is one, although no structured-field string. */
const BARE = /^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]+$/

/** A structured-field string (RFC 9651), its parameters ignored. */
function parseQuoted(value: string): string | undefined {
  try {
    const [item] = parseItem(value)
    return typeof item === 'string' ? item : undefined
  } catch {
    return undefined
  }
}

/**
 * The key that the lines of an Idempotency-Key header carry, `undefined` when they are malformed. Two lines are: a
 * sender that repeats the header made a mistake, and joining them would invent a third key.
 */
export function parseKey(lines: readonly string[], syntax: KeySyntax): string | undefined {
  const [line] = lines
  if (line === undefined || lines.length > 1) return undefined
  const key = syntax === 'lenient' && BARE.test(line) ? line : parseQuoted(line)
  if (key === undefined || key.length === 0 || key.length > SERVER_DEFAULTS.maxKeyLength) return undefined
  return key
}
