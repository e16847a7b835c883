/**
 * Codes of failures before a request could leave: no address, or no connection. Everything else is ambiguous, a reset
 * (ECONNRESET) above all: the server may have done the work and lost the answer.
 */
const NEVER_LEFT = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  // Bun
  'ConnectionRefused',
  'FailedToOpenSocket',
])

interface Coded {
  readonly code?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

const isObject = (value: unknown): value is Coded => typeof value === 'object' && value !== null

/**
 * Whether a transport's error proves that nothing was sent. Decided by codes alone (`error.cause.code` on Node,
 * `error.code` on Bun), never by messages; where a runtime gives no code, nothing is proved.
 */
export function provablyNeverLeft(error: unknown): boolean {
  if (!isObject(error)) return false
  if (typeof error.code === 'string') return NEVER_LEFT.has(error.code)
  // Several addresses were tried (happy eyeballs, RFC 8305): each must have failed before the request left.
  if (Array.isArray(error.errors) && error.errors.length > 0) return error.errors.every(provablyNeverLeft)
  return isObject(error.cause) && error.cause !== error && provablyNeverLeft(error.cause)
}
