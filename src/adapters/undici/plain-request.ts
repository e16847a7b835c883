import type { FetchInput } from '../../http/fetch-types.ts'

/** A request that the fast transport sends itself, as fetch would send it. */
export interface PlainRequest {
  readonly url: URL
  readonly method: string
  /** Names in lower case and values, in turn; what fetch adds of its own is not among them. */
  readonly headers: readonly string[]
  readonly body: PlainBody | null
  readonly redirect: RequestRedirect
}

/** Bodies that can be sent again, and that undici knows how to send. */
export type PlainBody = string | Uint8Array | Blob

/** Members that ask fetch for something else where they have another value than these. */
const ORDINARY: readonly (readonly [member: string, value: unknown])[] = [
  ['mode', 'cors'],
  ['credentials', 'same-origin'],
  ['cache', 'default'],
  ['referrer', 'about:client'],
  ['referrerPolicy', ''],
  ['integrity', ''],
  ['keepalive', false],
  ['window', null],
  ['dispatcher', undefined],
]

/** As fetch reads them: only these are turned into capitals. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ...['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'].flatMap((method): [string, string][] => [
    [method, method],
    [method.toLowerCase(), method],
  ]),
  ['PATCH', 'PATCH'],
])

/** Where these are given, fetch changes others, or undici refuses some of them. */
const DELICATE = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Fetch, 2.9, port blocking. */
const BLOCKED_PORTS = new Set(
  (
    '1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 ' +
    '135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 ' +
    '995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080'
  ).split(' '),
)

/** `undefined` for what only the full fetch knows how to send, or how to refuse. */
export function plainRequest(input: FetchInput, init: RequestInit = {}): PlainRequest | undefined {
  const url = plainUrl(input)
  if (url === undefined || !isOrdinary(init)) return undefined
  const { redirect = 'follow', method: given = 'GET' } = init
  const method = METHODS.get(given)
  const body = plainBody(init.body)
  const headers = plainHeaders(init.headers)
  if (method === undefined || body === undefined || headers === undefined || !isRedirectMode(redirect))
    return undefined
  if (body !== null && (method === 'GET' || method === 'HEAD')) return undefined
  const type = typeOf(init.body)
  if (type !== undefined && !hasHeader(headers, 'content-type')) headers.push('content-type', type)
  return { url, method, headers, body, redirect }
}

function plainUrl(input: FetchInput): URL | undefined {
  if (typeof input !== 'string' && !(input instanceof URL)) return undefined
  try {
    const url = new URL(input)
    return isPlainUrl(url) ? url : undefined
  } catch {
    return undefined
  }
}

/** What fetch asks of every URL, that of a redirect too. */
export function isPlainUrl({ protocol, username, password, port }: URL): boolean {
  if (protocol !== 'http:' && protocol !== 'https:') return false
  if (username !== '' || password !== '') return false
  return !BLOCKED_PORTS.has(port)
}

function isOrdinary(init: RequestInit): boolean {
  const members = init as Readonly<Record<string, unknown>>
  for (const [member, ordinary] of ORDINARY) {
    const value = members[member]
    if (value !== undefined && value !== ordinary) return false
  }
  return true
}

const isRedirectMode = (mode: string): mode is RequestRedirect =>
  mode === 'follow' || mode === 'manual' || mode === 'error'

/** A copy, since the caller may change his bytes meanwhile; `undefined` for what can be read only once, and forms. */
function plainBody(body: RequestInit['body']): PlainBody | null | undefined {
  if (body === undefined || body === null) return null
  if (typeof body === 'string') return body
  if (body instanceof Blob) return body
  if (body instanceof URLSearchParams) return String(body)
  if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0))
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
  return undefined
}

function typeOf(body: RequestInit['body']): string | undefined {
  if (typeof body === 'string') return 'text/plain;charset=UTF-8'
  if (body instanceof URLSearchParams) return 'application/x-www-form-urlencoded;charset=UTF-8'
  return body instanceof Blob && body.type !== '' ? body.type : undefined
}

/** Whether a name is in a list of names and values in turn. */
export function hasHeader(list: readonly string[], name: string): boolean {
  for (let at = 0; at < list.length; at += 2) if (list[at] === name) return true
  return false
}

/** Nothing that `Headers` would refuse or change. */
const PLAIN_NAME = /^[\w!#$%&'*+.^`|~-]+$/
const PLAIN_VALUE = /^(?:[!-~](?:[\t -~]*[!-~])?)?$/

/** `undefined` where one is delicate, or malformed: then fetch says so. */
function plainHeaders(given: RequestInit['headers']): string[] | undefined {
  if (given === undefined) return []
  // oxlint-disable-next-line typescript/no-unnecessary-condition -- JavaScript
  if (given === null) return undefined
  const list = given instanceof Headers ? [...given].flat() : (listed(given) ?? normalized(given))
  if (list === undefined) return undefined
  for (let at = 0; at < list.length; at += 2) if (DELICATE.has(list[at] ?? '')) return undefined
  return list
}

/** Saves the `Headers` of an object that has only plain ones: 1 of 2 us. */
function listed(given: NonNullable<RequestInit['headers']>): string[] | undefined {
  if (Array.isArray(given) || Symbol.iterator in given) return undefined
  const list: string[] = []
  for (const [name, value] of Object.entries(given)) {
    const key = name.toLowerCase()
    if (typeof value !== 'string' || !PLAIN_NAME.test(key) || !PLAIN_VALUE.test(value)) return undefined
    if (hasHeader(list, key)) return undefined
    list.push(key, value)
  }
  return list
}

function normalized(given: NonNullable<RequestInit['headers']>): string[] | undefined {
  try {
    return [...new Headers(given)].flat()
  } catch {
    return undefined
  }
}
