import type { CallInfo, EventResult } from '../../core/events.ts'
import type { Attributes } from './backend.ts'

/** The methods that the semantic conventions know; any other is `_OTHER`, since anybody can make one up. */
const METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
])

export const methodOf = (method: string): string => (METHODS.has(method) ? method : '_OTHER')

/** What a span says of its method: its name begins with it, which is `HTTP` for one that is not known. */
export function spanMethodOf(method: string): { readonly name: string; readonly attributes: Attributes } {
  if (METHODS.has(method)) return { name: method, attributes: {} }
  return { name: 'HTTP', attributes: { 'http.request.method_original': method } }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 }

/** Method and server: what nearly every measurement carries. */
export function requestAttributes({ method, url }: CallInfo): Attributes {
  const { hostname, port, protocol } = new URL(url)
  return {
    'http.request.method': methodOf(method),
    // A URL has an IPv6 address in brackets.
    'server.address': hostname.replace(/^\[|\]$/g, ''),
    'server.port': port === '' ? DEFAULT_PORTS[protocol] : Number(port),
  }
}

export const schemeOf = ({ url }: CallInfo): string => new URL(url).protocol.slice(0, -1)

/** How an attempt or a call ended. An `error.type` says that it failed. */
export function resultAttributes({ status, error }: EventResult): Attributes {
  if (status === undefined) return { 'error.type': errorType(error) }
  return { 'http.response.status_code': status, ...(status >= 400 ? { 'error.type': String(status) } : {}) }
}

/**
 * The error's code where it has one, else its name. Never its message: that may hold what is secret, and has no bound.
 */
function errorType(error: unknown): string {
  const { code, cause, name } = Object(error) as {
    code?: unknown
    cause?: { code?: unknown }
    name?: unknown
  }
  const found = [code, cause?.code, name].find((each) => typeof each === 'string' && each !== '')
  return typeof found === 'string' ? found : '_OTHER'
}
