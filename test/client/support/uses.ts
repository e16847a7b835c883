/** The ways in which fetch is used, and what shows how each of them went. */
import { Readable } from 'node:stream'
import { faultServer, type FaultServer } from '../../../src/testing/index.ts'

export type Fetch = typeof globalThis.fetch
export type Init = RequestInit & { duplex?: 'half' }
type Arguments = [input: Parameters<Fetch>[0], init?: Init | undefined]

/** Answers with what shows how a request went: `/redirect/<status>` leads to `/target`. */
function answer(request: Request): Response {
  const { pathname } = new URL(request.url)
  const code = Number(/^\/redirect\/(\d+)/.exec(pathname)?.[1] ?? 200)
  if (code !== 200) return new Response(null, { status: code, headers: { location: '/target' } })
  const headers = [
    ['x-answer', 'yes'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ] as [string, string][]
  return pathname === '/empty' ? new Response(null, { status: 204 }) : new Response('answer', { headers })
}

export const recorder = (): Promise<FaultServer> => faultServer({ recordBodies: true, handler: answer })

const withoutBoundary = (text: string): string => text.replaceAll(/-{4,}[\w-]+/g, 'BOUNDARY')

/** What a server saw, and what came back. */
export async function trace(
  fetch: Fetch,
  make: (url: string) => Arguments | Promise<Arguments>,
): Promise<unknown> {
  await using server = await recorder()
  const args = await make(server.url)
  const result = await fetch(...args).then(describeResponse, describeError)
  const requests = server.requests.map(({ method, path, headers, body }) => {
    const { host: _host, 'idempotency-key': _key, ...given } = headers
    const rest: Record<string, string> = given
    const text = Buffer.from(body ?? []).toString('latin1')
    if (rest['content-type'] !== undefined) rest['content-type'] = withoutBoundary(rest['content-type'])
    return { method, path, headers: rest, body: withoutBoundary(text) }
  })
  const [input] = args
  const used = input instanceof Request ? input.bodyUsed : undefined
  const { host } = new URL(server.url)
  const text = JSON.stringify({ requests, result, used })
  return JSON.parse(text.replaceAll(host, 'HOST').replaceAll(/blob:[\w:-]+/g, 'BLOB'))
}

async function describeResponse(response: Response): Promise<unknown> {
  const { url, status, statusText, type, redirected, ok } = response
  const headers = [...response.headers].filter(([name]) => name !== 'date')
  return { url, status, statusText, type, redirected, ok, headers, body: await response.text() }
}

export function describeError(error: unknown): unknown {
  const { name, message, cause } = error as Error
  return { name, message, cause: (cause as Error | undefined)?.message }
}

function form(): FormData {
  const data = new FormData()
  data.append('a', '1')
  data.append('a', 'zwei')
  data.append('file', new Blob(['content'], { type: 'text/css' }), 'a.css')
  return data
}

export const stream = (): ReadableStream => new Blob(['streamed']).stream()

const post = (url: string, init: Init = {}): Request =>
  new Request(url, { method: 'POST', body: 'data', ...init })

export const USES: [string, (url: string) => Arguments | Promise<Arguments>][] = [
  ['a string', (url) => [url]],
  ['a string with a query and a hash', (url) => [`${url}/a/../b?c=%20d&e=ü#hash`]],
  ['a URL object', (url) => [new URL('/path?a=1', url)]],
  ['something that turns into a URL', (url) => [{ toString: () => `${url}/made` } as unknown as string]],
  ['a Request', (url) => [new Request(`${url}/request?a`)]],
  ['init null-ish', (url) => [url, undefined]],
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE'].map((method) => use(method)),
  ...['get', 'post', 'patch', 'Put', 'delete', 'purge'].map((method) => use(method)),
  ['headers as an object', (url) => [url, { headers: { 'X-A': '1', 'x-b': '' } }]],
  ['headers as pairs, one name twice', (url) => [url, { headers: [['x-a', '1'], ['x-a', '2']] }]], // oxfmt-ignore
  ['headers as Headers', (url) => [url, { headers: new Headers({ 'x-a': '1' }) }]],
  ['headers as a Map', (url) => [url, { headers: new Map([['x-a', '1']]) as never }]],
  [
    'headers of the platform’s, overridden',
    (url) => [url, { headers: { accept: 'a/b', 'user-agent': 'me' } }],
  ],
  ['headers in latin 1', (url) => [url, { headers: { 'x-a': 'grün' } }]],
  ['a string body', (url) => [url, { method: 'POST', body: 'zwölf' }]],
  [
    'a string body with a type',
    (url) => [url, { method: 'PUT', body: '{}', headers: { 'content-type': 'a/json' } }],
  ],
  ['an empty body', (url) => [url, { method: 'POST', body: '' }]],
  ['a body of null', (url) => [url, { method: 'POST', body: null }]],
  ['a number as body', (url) => [url, { method: 'POST', body: 5 as never }]],
  ['an object as body', (url) => [url, { method: 'POST', body: { toString: () => 'own' } as never }]],
  ['a Blob', (url) => [url, { method: 'POST', body: new Blob(['b'], { type: 'a/b' }) }]],
  ['bytes', (url) => [url, { method: 'POST', body: new Uint8Array([0, 255, 128]) }]],
  ['an ArrayBuffer', (url) => [url, { method: 'POST', body: new Uint8Array([1, 2]).buffer }]],
  ['words', (url) => [url, { method: 'POST', body: new Uint16Array([1, 2]) }]],
  ['URLSearchParams', (url) => [url, { method: 'POST', body: new URLSearchParams('a=1&a=2&b=%20') }]],
  ['a form', (url) => [url, { method: 'POST', body: form() }]],
  ['a stream', (url) => [url, { method: 'POST', body: stream(), duplex: 'half' }]],
  [
    'a Node stream',
    (url) => [url, { method: 'POST', body: Readable.from([Buffer.from('n')]) as never, duplex: 'half' }],
  ],
  ...[301, 302, 303, 307, 308].flatMap((code) => [redirected(code, 'GET'), redirected(code, 'POST')]),
  ['a redirect that is followed by name', (url) => [`${url}/redirect/302`, { redirect: 'follow' }]],
  ['a redirect by hand', (url) => [`${url}/redirect/302`, { redirect: 'manual' }]],
  [
    'a redirected stream',
    (url) => [`${url}/redirect/307`, { method: 'PUT', body: stream(), duplex: 'half' }],
  ],
  ...(['omit', 'same-origin', 'include'] as const).map(
    (credentials): [string, (url: string) => Arguments] => [
      `credentials: ${credentials}`,
      (url) => [url, { credentials, headers: { authorization: 'Bearer x', cookie: 'a=1' } }],
    ],
  ),
  ...(['cors', 'same-origin', 'no-cors'] as const).map((mode): [string, (url: string) => Arguments] => [
    `mode: ${mode}`,
    (url) => [url, { mode }],
  ]),
  ...(['default', 'no-store', 'reload', 'no-cache', 'force-cache'] as const).map(
    (cache): [string, (url: string) => Arguments] => [`cache: ${cache}`, (url) => [url, { cache }]],
  ),
  ['keepalive', (url) => [url, { method: 'POST', body: 'x', keepalive: true }]],
  ['a referrer', (url) => [url, { referrer: `${url}/from`, referrerPolicy: 'unsafe-url' }]],
  [
    'integrity that holds',
    (url) => [url, { integrity: 'sha256-DbUvQHbAglGEEq/T3TV24ssMY3A/1/7V4jreYO/vMdk=' }],
  ],
  ['an answer without a body', (url) => [`${url}/empty`]],
  ['a Request with a body', (url) => [post(url)]],
  ['a Request with a form', (url) => [new Request(url, { method: 'POST', body: form() })]],
  ['a Request with an empty body', (url) => [new Request(url, { method: 'POST', body: '' })]],
  ['a Request without a body', (url) => [new Request(url, { method: 'DELETE' })]],
  ['a Request with headers', (url) => [new Request(url, { headers: { 'x-a': '1' } })]],
  ['a Request by hand', (url) => [new Request(`${url}/redirect/302`, { redirect: 'manual' })]],
  ['a Request and another method', (url) => [post(url), { method: 'PUT' }]],
  [
    'a Request and other headers',
    (url) => [post(url, { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }],
  ],
  ['a Request and another body', (url) => [post(url), { body: 'other' }]],
  ['a Request and no headers', (url) => [post(url, { headers: { 'x-a': '1' } }), { headers: {} }]],
  ['a Request and another mode', (url) => [new Request(`${url}/redirect/302`), { redirect: 'manual' }]],
  ['a Request and a body of null', (url) => [post(url), { body: null }]],
  ['a clone of a Request', (url) => [post(url).clone()]],
  [
    'a Request as init',
    (url) => [url, post('http://else.test/', { method: 'PUT', headers: { 'x-a': '1' } })],
  ],
  ['a Request twice', (url) => [post(url), post('http://else.test/', { method: 'PUT', body: 'second' })]],
  ['an init that is frozen', (url) => [url, Object.freeze({ method: 'POST', body: 'x', headers: Object.freeze({ a: '1' }) })]], // oxfmt-ignore
  ['a signal of null', (url) => [url, { signal: null }]],
  ['a signal', (url) => [url, { signal: new AbortController().signal }]],
  ['a signal that is none', (url) => [url, { signal: {} as never }]],
  ['a signal that has been aborted', (url) => [url, { signal: AbortSignal.abort() }]],
  ['a data: URL', () => ['data:text/plain,hello']],
  ['a blob: URL', () => [URL.createObjectURL(new Blob(['hello']))]],
  ['an unknown scheme', () => ['unknown:x']],
  ['a relative URL', () => ['/path']],
  ['an empty URL', () => ['']],
  ['credentials in the URL', (url) => [url.replace('//', '//me:secret@')]],
  ['a GET with a body', (url) => [url, { body: 'x' }]],
  ['a method that is no token', (url) => [url, { method: 'A B' }]],
  ['a method that is forbidden', (url) => [url, { method: 'CONNECT' }]],
  ['a stream without duplex', (url) => [url, { method: 'POST', body: stream() }]],
  ['a header that is none', (url) => [url, { headers: { 'a b': '1' } }]],
  ['a header beyond latin 1', (url) => [url, { headers: { 'x-a': 'ключ' } }]],
  [
    'a Request that is used up',
    async (url) => {
      const request = post(url)
      await request.text()
      return [request]
    },
  ],
  [
    'a Request that is used up, and another body',
    async (url) => {
      const request = post(url)
      await request.text()
      return [request, { body: 'other' }]
    },
  ],
]

function use(method: string): [string, (url: string) => Arguments] {
  return [`method: ${method}`, (url) => [`${url}/${method}`, { method }]]
}

function redirected(code: number, method: string): [string, (url: string) => Arguments] {
  const body = method === 'GET' ? {} : { body: 'moved' }
  return [`${method}, redirected by ${code}`, (url) => [`${url}/redirect/${code}`, { method, ...body }]]
}
