import { headerOf } from './headers.ts'
import type { Head } from './dispatch.ts'
import { isPlainUrl, type PlainRequest } from './plain-request.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** What a body brings along, and takes along when it is dropped. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
])

/** Nobody else's business. */
const OF_THE_ORIGIN: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** More than so many are a circle. */
const MAX_REDIRECTS = 20

/**
 * The request that follows (Fetch, 4.4, HTTP-redirect fetch). A key belongs to one operation of one API: fetch would
 * carry it on, here it stays behind with the body, and where another origin is asked.
 *
 * @param followed how many redirects led to `request`
 * @param keyHeader what the client calls the header of its keys
 * @returns `undefined` where the response is the last one
 * @throws what is the cause of fetch's error
 */
export function redirected(
  request: PlainRequest,
  head: Head,
  followed: number,
  keyHeader?: string,
): PlainRequest | undefined {
  if (!REDIRECTS.has(head.status)) return undefined
  if (request.redirect === 'error') throw new Error('unexpected redirect')
  const location = headerOf(head.headers, 'location')
  if (location === undefined) return undefined
  const url = new URL(utf8(location), request.url)
  if (url.hash === '') url.hash = request.url.hash
  checkUrl(url)
  if (followed === MAX_REDIRECTS) throw new Error('redirect count exceeded')
  const isNewOrigin = url.origin !== request.url.origin
  const isGet = becomesGet(request.method, head.status)
  const dropped = [
    ...(isGet ? [OF_THE_BODY] : []),
    ...(isNewOrigin ? [OF_THE_ORIGIN] : []),
    ...(isGet || isNewOrigin ? [keysIn(keyHeader)] : []),
  ]
  return {
    ...request,
    url,
    headers: without(request.headers, dropped),
    ...(isGet ? { method: 'GET', body: null } : {}),
  }
}

const keysIn = (header = 'idempotency-key'): ReadonlySet<string> =>
  new Set(['idempotency-key', header.toLowerCase()])

function becomesGet(method: string, status: number): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD'
  return method === 'POST' && (status === 301 || status === 302)
}

function checkUrl(url: URL): void {
  if (isPlainUrl(url)) return
  if (!/^https?:$/.test(url.protocol)) throw new Error('URL scheme must be a HTTP(S) scheme')
  throw new Error(
    url.username + url.password === '' ? 'bad port' : 'cross origin not allowed for request mode "cors"',
  )
}

function without(headers: readonly string[], dropped: readonly ReadonlySet<string>[]): readonly string[] {
  if (dropped.length === 0) return headers
  return headers.filter((_, at) => !dropped.some((names) => names.has(headers[at - (at % 2)] ?? '')))
}

/** Bytes came as a character each; in a location they are UTF-8. */
const utf8 = (location: string): string =>
  /^[ -~]*$/.test(location) ? location : Buffer.from(location, 'latin1').toString('utf8')
