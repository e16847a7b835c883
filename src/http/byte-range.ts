import type { HeadersLike } from './fetch-types.ts'

/** A whole representation whose parts fit together: it has a strong validator, a known length and no coding. */
export interface Representation {
  /** A strong entity tag: the same bytes (RFC 9110, 8.8.3). */
  readonly etag: string
  readonly length: number
  /** Origin and path of who answered: elsewhere the same tag means other bytes. Signatures in a query may differ. */
  readonly place: string
}

const STRONG_ETAG = /^"[\x21\x23-\x7E\x80-\xFF]*"$/
const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i

/** undici leaves the spaces around a value that came over the wire. */
const read = (headers: Headers, name: string): string => headers.get(name)?.trim() ?? ''

const placeOf = ({ url }: Response): string => url.replace(/[?#].*/s, '')

/**
 * What the rest of a response's body can be asked for by, should it break; `undefined` where parts would not be sure to
 * fit: without a strong tag or a length, with a content-coding, which the platform has undone or hides, with trailers.
 */
export function representationOf(response: Response): Representation | undefined {
  const { status, headers } = response
  const etag = read(headers, 'etag')
  const length = lengthIn(headers)
  if (status !== 200 || !STRONG_ETAG.test(etag) || length === undefined) return undefined
  if (isCoded(response) || headers.has('trailer')) return undefined
  if (/^none$/i.test(read(headers, 'accept-ranges'))) return undefined
  return { etag, length, place: placeOf(response) }
}

function lengthIn(headers: Headers): number | undefined {
  const text = read(headers, 'content-length')
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined
}

/** Whether the bytes are not those of the wire, or might not be: of a foreign origin a page sees only what that exposes. */
function isCoded({ headers, type }: Response): boolean {
  if (headers.has('content-encoding')) return true
  if (type !== 'cors' || globalThis.location === undefined) return false
  const exposed = read(headers, 'access-control-expose-headers')
    .toLowerCase()
    .split(/[\s,]+/)
  return !exposed.includes('content-encoding') && !exposed.includes('*')
}

/** Whether a request is conditional or asks for a part by itself: then what its answer means is its own business. */
export function isPartial(headers: HeadersLike | undefined): boolean {
  return [...new Headers(headers).keys()].some((name) => name === 'range' || name.startsWith('if-'))
}

/** Asks for what comes after `offset` bytes, if nothing has changed since (RFC 9110, 13.1.5). */
export function rangeHeaders({ etag }: Representation, offset: number): Record<string, string> {
  return { range: `bytes=${offset}-`, 'if-range': etag }
}

/** Whether a response is the rest of a representation from `offset` on, whole and of the same version (15.3.7.3). */
export function isRestOf(response: Response, whole: Representation, offset: number): boolean {
  const { status, headers } = response
  const [, first, last, length] = CONTENT_RANGE.exec(read(headers, 'content-range')) ?? []
  return (
    status === 206 &&
    // Its body is parts with headers of their own, whatever its own header says (RFC 9110, 15.3.7.2).
    !/^multipart\/byteranges/i.test(read(headers, 'content-type')) &&
    read(headers, 'etag') === whole.etag &&
    placeOf(response) === whole.place &&
    !isCoded(response) &&
    Number(first) === offset &&
    Number(last) === whole.length - 1 &&
    (length === '*' || Number(length) === whole.length) &&
    (lengthIn(headers) ?? whole.length - offset) === whole.length - offset
  )
}
