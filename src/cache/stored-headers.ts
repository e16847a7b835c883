type Lines = [name: string, value: string][]

/** Of a coding that fetch has undone. */
const CODING = 'content-encoding'

/** Of one connection, or of one recipient (RFC 9111, 3.1). */
const NEVER_STORED = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What of an answer's headers is stored. A missing `Date` is when it arrived (RFC 9110, 6.6.1). */
export function storedHeaders(headers: Headers, wallMs: number, coded = false): Lines {
  const named = (headers.get('connection') ?? '').toLowerCase().split(/[\s,]+/)
  const isLeft = (name: string): boolean =>
    NEVER_STORED.has(name) || named.includes(name) || (!coded && name === CODING)
  const kept = [...headers].filter(([name]) => !isLeft(name))
  if (!headers.has('date')) kept.push(['date', new Date(wallMs).toUTCString()])
  return kept
}

/** Of the body that is stored, and not of the answer that has none. */
const OF_THE_BODY = new Set(['content-range', 'content-type'])

/** Stored headers, brought up to date by those of a 304 (RFC 9111, 3.2). */
export function freshened(
  stored: readonly (readonly [string, string])[],
  confirmation: Headers,
  wallMs: number,
): Lines {
  const updates = storedHeaders(confirmation, wallMs).filter(([name]) => !OF_THE_BODY.has(name))
  const merged = new Map<string, string>(stored)
  // How long the old answer had been under way says nothing of the new one.
  merged.delete('age')
  for (const [name, value] of updates) merged.set(name, value)
  return [...merged]
}

/** Headers that make a request conditional, or that ask for a part: its sender keeps a cache of its own. */
const OWN_CACHE = [
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
]

export const hasOwnCache = (request: Headers): boolean => OWN_CACHE.some((name) => request.has(name))

/** What a request asks the origin with, whether the stored response is still right. */
export function validatorsOf(stored: readonly (readonly [string, string])[]): Record<string, string> {
  const headers = new Map(stored)
  const [etag, date] = [headers.get('etag'), headers.get('last-modified')]
  return {
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
    ...(date === undefined ? {} : { 'if-modified-since': date }),
  }
}

const opaque = (etag: string): string => etag.replace(/^W\//, '')

/** Whether a 304 speaks of the stored response: of the validators that both have, the stronger decides. */
export function isConfirmed(stored: readonly (readonly [string, string])[], confirmation: Headers): boolean {
  const headers = new Map(stored)
  const [etag, ownEtag] = [confirmation.get('etag'), headers.get('etag')]
  if (etag !== null && ownEtag !== undefined) return opaque(etag) === opaque(ownEtag)
  const [date, ownDate] = [confirmation.get('last-modified'), headers.get('last-modified')]
  return date === null || ownDate === undefined || date === ownDate
}
