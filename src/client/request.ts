import { isUsedUp } from '../http/body.ts'
import type { FetchInput, HeadersLike } from '../http/fetch-types.ts'
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

const isRequest = (input: unknown): input is Request =>
  typeof input === 'object' && input !== null && 'url' in input && 'method' in input && 'headers' in input

/** The input, where it is a `Request`; by its members, since a polyfill's is as good. */
export function requestOf(input: unknown): Request | undefined {
  return isRequest(input) ? input : undefined
}

const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value

/**
 * Reads a request as it is at the moment of the call: what the caller changes later is not sent. `undefined` for what
 * the pipeline has no business with: another scheme (`data:`, `blob:`), a body that is used up, nonsense. The transport
 * answers those as it always does.
 */
export function readRequest(input: FetchInput, init: HoldfastInit | undefined): CallerRequest | undefined {
  const request = requestOf(input)
  const url = parseUrl(request?.url ?? `${input as string | URL}`)
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  const given = copyOf(init ?? {})
  const headers = given.headers === undefined ? request?.headers : given.headers
  if (headers !== undefined) given.headers = copyOfHeaders(headers)
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

/** A copy of an init, with what it inherits: the platform reads each member by name, so a class may have them. */
function copyOf(init: HoldfastInit): HoldfastInit {
  const request = requestOf(init)
  if (request !== undefined) return wholeInitOf(request)
  const inherited = MEMBERS.filter((name) => name in init && !Object.hasOwn(init, name))
  const members = inherited.map((name) => [name, Reflect.get(init, name)])
  return { ...Object.fromEntries(members), ...init }
}

/** A copy of headers; what is malformed stays so, and the platform says what is wrong with it. */
function copyOfHeaders(headers: HeadersLike): HeadersLike {
  if (typeof headers !== 'object' || headers === null) return headers
  if (headers instanceof Headers) return new Headers(headers)
  if (!(Symbol.iterator in headers)) return { ...headers }
  return [...headers].map((pair) => (Array.isArray(pair) ? [...pair] : pair)) as [string, string][]
}

function parseUrl(url: string): URL | undefined {
  const base = globalThis.location?.href
  return URL.canParse(url, base) ? new URL(url, base) : undefined
}

function isSpent(request: Request | undefined, { body }: RequestInit): boolean {
  if (body === null || body === undefined) return request?.bodyUsed === true
  return isUsedUp(body)
}

/** What an init may have beside its body. */
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

const MEMBERS = [...COPIED, 'headers', 'body', 'signal', 'duplex', 'holdfast']

/** A `Request` as an init, for transports that know only URL and init. */
export function initOf(request: Request): RequestInit {
  const fields = COPIED.map((name): [string, unknown] => [name, request[name]])
  const init: RequestInit = Object.fromEntries(fields.filter(([name, value]) => isWorthCopying(name, value)))
  init.headers = request.headers
  return init
}

/** The same with signal and body; the body is streamed, so it can be sent once. */
export function wholeInitOf(request: Request): RequestInit {
  const streamed = request.body ? { body: request.body, duplex: 'half' } : {}
  return { ...initOf(request), signal: request.signal, ...streamed }
}

/** 'navigate' and 'about:client' are states of a request that no init can ask for. */
function isWorthCopying(name: string, value: unknown): boolean {
  if (value === undefined || value === '' || value === false) return false
  return !(name === 'mode' && value === 'navigate') && value !== 'about:client'
}
