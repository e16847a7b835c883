import type { Provenance } from '../http/relay.ts'
import type { CacheEntry } from './store.ts'

const VERSION = 1

type HeaderLines = readonly (readonly [name: string, value: string])[]

/** What is known of a URL, whoever asks for it. */
export interface UrlMeta {
  /** Part of the keys of its responses: another one leaves them all behind. */
  readonly generation: string
  /** What began it: a response that was stored, or a write that made all earlier ones invalid. */
  readonly bornBy: 'read' | 'write'
  /** The request headers by which its responses differ, sorted. */
  readonly vary: readonly string[]
  /** Until when the store was asked to keep it, in wall time. */
  readonly untilMs: number
}

/** When a response arrived. */
export interface Arrival {
  readonly wallMs: number
  /** The monotonic time, which means something only to the `session` whose clock it is. */
  readonly monotonicMs: number
  readonly session: string
}

/** A stored response without its body. */
export interface ResponseMeta {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderLines
  readonly arrival: Arrival
  readonly provenance: Provenance
}

export interface StoredResponse {
  readonly meta: ResponseMeta
  readonly body: Uint8Array<ArrayBuffer>
}

/** A store gave what this version can't have written under that key. */
export class CorruptEntryError extends Error {
  override readonly name = 'CorruptEntryError'

  constructor() {
    super('the store gave an entry that is not one of this cache, or not the one that was asked for')
  }
}

/** The kind stands first, so that it can be told without parsing. */
const URL_PREFIX = `{"version":${VERSION},"kind":"url"`

export const isUrlMeta = (meta: string): boolean => meta.startsWith(URL_PREFIX)

const NO_BODY = new Uint8Array()

export function encodeUrl(key: string, meta: UrlMeta): CacheEntry {
  return { meta: JSON.stringify({ version: VERSION, kind: 'url', key, ...meta }), body: NO_BODY }
}

export function encodeResponse(key: string, { meta, body }: StoredResponse): CacheEntry {
  const head = { version: VERSION, kind: 'response', key, bodyBytes: body.byteLength, ...meta }
  return { meta: JSON.stringify(head), body }
}

/** @throws {CorruptEntryError} for anything that `encodeUrl` did not make under this key. */
export function decodeUrl(key: string, entry: unknown): UrlMeta {
  const { head } = readEntry(key, 'url', entry)
  const { generation, bornBy, vary, untilMs } = head
  const isSound =
    typeof generation === 'string' &&
    (bornBy === 'read' || bornBy === 'write') &&
    isList(vary, (name): name is string => typeof name === 'string') &&
    isNumber(untilMs)
  if (!isSound) throw new CorruptEntryError()
  return { generation, bornBy, vary, untilMs }
}

/** @throws {CorruptEntryError} for anything that `encodeResponse` did not make under this key. */
export function decodeResponse(key: string, entry: unknown): StoredResponse {
  const { head, body } = readEntry(key, 'response', entry)
  const { status, statusText, headers, arrival, provenance, bodyBytes } = head
  const isSound =
    isNumber(status) &&
    status >= 200 &&
    status <= 599 &&
    typeof statusText === 'string' &&
    isList(headers, isHeaderLine) &&
    isArrival(arrival) &&
    isProvenance(provenance) &&
    bodyBytes === body.byteLength
  if (!isSound) throw new CorruptEntryError()
  return { meta: { status, statusText, headers, arrival, provenance }, body }
}

type Fields = Readonly<Record<string, unknown>>

interface RawEntry {
  readonly head: Fields
  readonly body: Uint8Array<ArrayBuffer>
}

function readEntry(key: string, kind: 'url' | 'response', entry: unknown): RawEntry {
  if (!isFields(entry) || typeof entry.meta !== 'string' || !isBytes(entry.body))
    throw new CorruptEntryError()
  const head = parseJson(entry.meta)
  if (!isFields(head) || head.version !== VERSION || head.kind !== kind || head.key !== key) {
    throw new CorruptEntryError()
  }
  return { head, body: entry.body }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CorruptEntryError()
  }
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** By its tag, since a store's library may come from another realm. */
const isBytes = (value: unknown): value is Uint8Array<ArrayBuffer> =>
  ArrayBuffer.isView(value) && Reflect.get(value, Symbol.toStringTag) === 'Uint8Array'

const isList = <T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.every(isItem)

const isHeaderLine = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')

const isArrival = (value: unknown): value is Arrival =>
  isFields(value) &&
  isNumber(value.wallMs) &&
  isNumber(value.monotonicMs) &&
  typeof value.session === 'string'

const isProvenance = (value: unknown): value is Provenance =>
  isFields(value) &&
  typeof value.url === 'string' &&
  typeof value.redirected === 'boolean' &&
  typeof value.type === 'string'
