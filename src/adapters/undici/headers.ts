import type { HeadersLike } from '../../http/fetch-types.ts'
import type { HeaderRecord, HeaderValue, RawHeaders, RequestHeaders } from './dispatch.ts'

type Pair = readonly [name: string, value: HeaderValue]

/**
 * What can be gone through only once, as a generator, made into what each attempt can go through: a set, since undici
 * takes an array for names and values in turn.
 */
export function lasting(headers: RequestHeaders | undefined): RequestHeaders | undefined {
  const isOnce =
    typeof headers === 'object' && headers !== null && Symbol.iterator in headers && 'next' in headers
  return isOnce ? new Set(headers as Iterable<Pair>) : headers
}

/** The headers of a request in the order in which they were given. */
function pairsOf(headers: RequestHeaders | undefined): Pair[] {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers) && !Array.isArray(headers[0])) return inTurn(headers)
  const pairs = Symbol.iterator in headers ? (headers as Iterable<Pair>) : Object.entries(headers)
  return [...pairs]
}

function inTurn(list: readonly unknown[]): Pair[] {
  const pairs: Pair[] = []
  for (let at = 0; at + 1 < list.length; at += 2) pairs.push([textOf(list[at]), valueOf(list[at + 1])])
  return pairs
}

/** What came over the wire are bytes, each a character. */
const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value)

const valueOf = (value: unknown): HeaderValue =>
  Array.isArray(value) ? value.map(textOf) : value === undefined ? undefined : textOf(value)

const valuesOf = (value: HeaderValue): readonly string[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value as string]

/** For reading. What is malformed is left out: undici will refuse it, or the server has sent it. */
function readable(pairs: Iterable<Pair>): Headers {
  const headers = new Headers()
  appendAll(pairs, (name, value) => headers.append(name, value))
  return headers
}

function appendAll(pairs: Iterable<Pair>, append: (name: string, value: string) => void): void {
  for (const [name, value] of pairs) {
    for (const each of valuesOf(value)) {
      try {
        append(name, each)
      } catch {}
    }
  }
}

export type PlainHeaders = Readonly<Record<string, string>>

/**
 * The headers of a request, for reading: as `Headers` only where they have to be. Without, a POST with two takes 7
 * instead of 15 us.
 */
export function requestHeaders(headers: RequestHeaders | undefined): Headers | PlainHeaders {
  const pairs = pairsOf(headers)
  return plainOf(pairs) ?? readable(pairs)
}

const NAME = /^[\w!#$%&'*+.^`|~-]+$/
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/

/** `undefined` where a name has several values, or none, and where undici is to say that something is malformed. */
function plainOf(pairs: readonly Pair[]): PlainHeaders | undefined {
  const record: Record<string, string> = {}
  for (const [name, value] of pairs) {
    if (typeof value !== 'string' || !NAME.test(name) || !VALUE.test(value)) return undefined
    record[name] = value
  }
  return sizeOf(record) === pairs.length ? record : undefined
}

const isRecord = (headers: HeadersLike): headers is PlainHeaders => !(Symbol.iterator in headers)

export function hasHeader(headers: Headers | PlainHeaders, name: string): boolean {
  return isRecord(headers)
    ? Object.keys(headers).some((each) => each.toLowerCase() === name)
    : headers.has(name)
}

const responsePairs = (headers: HeaderRecord | readonly unknown[]): Iterable<Pair> =>
  isInTurn(headers) ? inTurn(headers) : Object.entries(headers)

const isInTurn = (headers: HeaderRecord | readonly unknown[]): headers is readonly unknown[] =>
  Array.isArray(headers)

/**
 * What an attempt sends: what the caller gave, in his spelling, with what has been changed since.
 *
 * @param read those given, as the pipeline has read them
 */
export function changed(
  given: RequestHeaders | undefined,
  read: Headers | PlainHeaders | undefined,
  wanted: HeadersLike,
): RequestHeaders | undefined {
  // As long as they are plain, nothing but additions has been made to them.
  if (isRecord(wanted)) return sizeOf(wanted) === sizeOf(read) ? given : wanted
  return withChanges(given, new Headers(read), wanted instanceof Headers ? wanted : new Headers(wanted))
}

const sizeOf = (headers: Headers | PlainHeaders = {}): number => Object.keys(headers).length

function withChanges(
  given: RequestHeaders | undefined,
  before: Headers,
  wanted: Headers,
): RequestHeaders | undefined {
  const isSame = (name: string): boolean => !NAME.test(name) || before.get(name) === wanted.get(name)
  const added = [...wanted.keys()].filter((name) => !isSame(name))
  if (added.length === 0 && [...before.keys()].every(isSame)) return given
  const kept = pairsOf(given).filter(([name]) => isSame(name))
  return grouped([...kept, ...added.map((name): Pair => [name, wanted.get(name) ?? undefined])])
}

/** By a map first: an object has members of its own, and a header may be called `constructor`. */
function grouped(pairs: readonly Pair[]): HeaderRecord {
  const values = new Map<string, HeaderValue>()
  for (const [name, value] of pairs) {
    const known = valuesOf(values.get(name))
    values.set(name, known.length === 0 ? value : [...known, ...valuesOf(value)])
  }
  return Object.fromEntries(values)
}

const refuse = (): never => {
  throw new TypeError('immutable')
}

/** A class that is made when it is needed: to look at `Headers` makes Node load its fetch. */
const classOfImmutables = () =>
  class extends Headers {
    constructor(headers: HeaderRecord | readonly unknown[]) {
      super()
      appendAll(responsePairs(headers), (name, value) => super.append(name, value))
    }

    override append(): never {
      return refuse()
    }

    override delete(): never {
      return refuse()
    }

    override set(): never {
      return refuse()
    }
  }

let ImmutableHeaders: ReturnType<typeof classOfImmutables> | undefined

/** The headers of a response as fetch hands them out. */
export function immutableHeaders(headers: HeaderRecord | readonly unknown[]): Headers {
  ImmutableHeaders ??= classOfImmutables()
  return new ImmutableHeaders(headers)
}

/** One header of a response, without making all of them; several values as fetch joins them. */
export function headerOf(headers: HeaderRecord | readonly unknown[], name: string): string | undefined {
  if (!isInTurn(headers)) return joined(valuesOf(headers[name]))
  const values: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const given = headers[at]
    if (lengthOf(given) === name.length && textOf(given).toLowerCase() === name)
      values.push(textOf(headers[at + 1]))
  }
  return joined(values)
}

const lengthOf = (text: unknown): number => (text as string | Uint8Array).length

const joined = (values: readonly string[]): string | undefined =>
  values.length === 0 ? undefined : values.join(', ')

/** As undici 7 and 8 hand them to a handler: names in lower case, several values as an array. */
export function recordOf(raw: HeaderRecord | readonly unknown[]): HeaderRecord {
  if (!isInTurn(raw)) return raw
  return grouped(inTurn(raw).map(([name, value]): Pair => [name.toLowerCase(), value]))
}

/** The same of a response that was made on this side. */
export function recordFrom(headers: Headers): HeaderRecord {
  const cookies = headers.getSetCookie()
  return { ...Object.fromEntries(headers), ...(cookies.length === 0 ? {} : { 'set-cookie': cookies }) }
}

/** As undici 6 hands them to a handler: names and values in turn, in bytes. */
export function rawOf(raw: RawHeaders, headers: HeaderRecord | readonly unknown[]): readonly unknown[] {
  if (Array.isArray(raw) && raw.every((each) => each instanceof Uint8Array)) return raw
  return Object.entries(recordOf(headers)).flatMap(([name, value]) =>
    valuesOf(value).flatMap((each) => [Buffer.from(name, 'latin1'), Buffer.from(each, 'latin1')]),
  )
}
