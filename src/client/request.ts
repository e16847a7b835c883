import type { FetchInput } from '../http/fetch-types.ts'
import type { HoldfastInit } from './options.ts'

/** What the caller asked for, read without changing anything. */
export interface CallerRequest {
  readonly input: FetchInput
  readonly init: HoldfastInit
  /** The input, where it is a `Request`. */
  readonly request: Request | undefined
  readonly method: string
  readonly url: URL
  readonly signal: AbortSignal | undefined
}

/** The input, where it is a `Request`; by its members, since a polyfill's is as good. */
export function requestOf(input: FetchInput): Request | undefined {
  const isRequest = typeof input === 'object' && input !== null && 'method' in input && 'headers' in input
  return isRequest ? input : undefined
}

const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value

/**
 * Reads a request; `undefined` for what the pipeline has no business with: another scheme (`data:`, `blob:`), a body
 * that is used up, nonsense. The transport answers those as it always does.
 */
export function readRequest(input: FetchInput, init: HoldfastInit | undefined): CallerRequest | undefined {
  const request = requestOf(input)
  const url = parseUrl(request?.url ?? `${input as string | URL}`)
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  const given = init ?? {}
  if (isSpent(request, given)) return undefined
  const signal = given.signal === undefined ? request?.signal : given.signal
  if (signal !== undefined && signal !== null && !isSignal(signal)) return undefined
  return {
    input,
    init: given,
    request,
    method: (given.method ?? request?.method ?? 'GET').toUpperCase(),
    url,
    signal: signal ?? undefined,
  }
}

function parseUrl(url: string): URL | undefined {
  const base = globalThis.location?.href
  return URL.canParse(url, base) ? new URL(url, base) : undefined
}

function isSpent(request: Request | undefined, { body }: RequestInit): boolean {
  if (body !== null && body !== undefined) return body instanceof ReadableStream && body.locked
  return request?.bodyUsed === true
}

/** Requests to other sites that may not carry a header of ours. */
export function isNoCors({ init, request }: CallerRequest): boolean {
  return (init.mode ?? request?.mode) === 'no-cors'
}

const COPIED = [
  'method',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'referrer',
  'referrerPolicy',
  'integrity',
  'keepalive',
] as const

/** A `Request` as an init, for transports that know only URL and init. */
export function initOf(request: Request): RequestInit {
  const fields = COPIED.map((name): [string, unknown] => [name, request[name]])
  const init: RequestInit = Object.fromEntries(fields.filter(([name, value]) => isWorthCopying(name, value)))
  init.headers = request.headers
  return init
}

/** 'navigate' and 'about:client' are states of a request that no init can ask for. */
function isWorthCopying(name: string, value: unknown): boolean {
  if (value === undefined || value === '' || value === false) return false
  return !(name === 'mode' && value === 'navigate') && value !== 'about:client'
}
