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

/** Of undici for what it refuses to send; of its mocks, of nock, and of msw by name, for what no test has told them of. */
const REFUSED_HERE =
  /^(UND_(ERR_(INVALID_ARG|NOT_SUPPORTED)|MOCK_)|ERR_NOCK|(Internal|NetConnectNotAllowed)Error$)/

/**
 * Codes of undici for what ended on this side: the dispatcher was closed, the body was not as long as it said; and the
 * platform's name (File API, 7.1) for a file that was changed or removed since it was made a `Blob`.
 */
const ENDED_HERE = /^UND_ERR_(CLOSED|DESTROYED|REQ_CONTENT)|^NotReadableError$/

interface Coded {
  readonly name?: unknown
  readonly code?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
  readonly port?: unknown
  readonly address?: unknown
  readonly hostname?: unknown
}

const isObject = (value: unknown): value is Coded => typeof value === 'object' && value !== null

/**
 * Whether a transport's error proves that nothing was sent to `url`. Decided by codes alone (`error.cause.code` on
 * Node, `error.code` on Bun), never by messages; where a runtime gives no code, nothing is proved. An error that names
 * another peer proves nothing either: a redirect led there, so this one has answered.
 */
export function provablyNeverLeft(error: unknown, url: URL): boolean {
  if (!isObject(error)) return false
  if (typeof error.code === 'string') return NEVER_LEFT.has(error.code) && !namesAnother(error, url)
  // Several addresses were tried (happy eyeballs, RFC 8305): each must have failed before the request left.
  if (Array.isArray(error.errors) && error.errors.length > 0) {
    return error.errors.every((each) => provablyNeverLeft(each, url))
  }
  return isObject(error.cause) && error.cause !== error && provablyNeverLeft(error.cause, url)
}

/** A request that was never sent, since undici does not send such. */
export const isRefusedHere = (error: unknown): boolean => hasCode(error, REFUSED_HERE)

/** A request that ended on this side, whatever has left by then: it is no news of the service. */
export const isEndedHere = (error: unknown): boolean => hasCode(error, ENDED_HERE)

/** By name, not class: aborts come as DOMException, Error or another realm's. */
export const isAbort = (error: unknown): boolean => isObject(error) && error.name === 'AbortError'

/** undici's fetch wraps its errors once. */
const hasCode = (error: unknown, codes: RegExp): boolean =>
  isNamed(error, codes) || (isObject(error) && isNamed(error.cause, codes))

/** Those of msw have a name only, the platform's a number for a code, and nock borrows that of another. */
const isNamed = (error: unknown, codes: RegExp): boolean =>
  isObject(error) && [error.code, error.name].some((each) => codes.test(String(each)))

/** No name has a colon; all addresses of IPv6 have. */
const ADDRESS = /:|^[\d.]+$/

function namesAnother({ port, address, hostname }: Coded, url: URL): boolean {
  const own = url.hostname.replaceAll(/[[\]]/g, '')
  if (typeof hostname === 'string' && hostname !== own) return true
  const ownPort = Number(url.port) || (url.protocol === 'http:' ? 80 : 443)
  if (typeof port === 'number' && port !== ownPort) return true
  return typeof address === 'string' && ADDRESS.test(own) && address !== own
}
