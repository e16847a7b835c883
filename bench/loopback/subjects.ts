import { got } from 'got'
import { Agent, interceptors, request, type Dispatcher } from 'undici'
import { interceptor, transport } from '../../src/adapters/undici/index.ts'
import { createFetch } from '../../src/index.ts'
import { subjectsOf, type Exchange, type Run, type Subject } from '../harness/subject.ts'
import { axios as axiosPeer, axiosWithRetries } from '../peers/axios.ts'
import { cockatiel, cockatielReading } from '../peers/cockatiel.ts'
import { peers } from '../peers/peers.ts'
import { RETRIES, TIMEOUT_MS } from '../peers/settings.ts'

/** A client of real HTTP: it asks for a URL, and reads the JSON that comes. */
export type LoopbackSubject = Subject<string>

const bare = subjectsOf<string>('none')
const ours = subjectsOf<string>('holdfast')

const ask =
  (url: string, dispatcher: Dispatcher): Run =>
  async () =>
    (await request(url, { dispatcher })).body.json()

const fetching =
  (fetch: (url: string, init?: RequestInit) => Promise<Response>, url: string, init?: RequestInit): Run =>
  async () =>
    (await fetch(url, init)).json()

const bareFetch: LoopbackSubject = bare('fetch', [], (url) => fetching(globalThis.fetch, url))

const EVERYTHING = ['retry', 'breaker', 'timeout', 'budget', 'keys'] as const

/** The clients of the other benchmark, over the global fetch. */
const overFetch = (subject: Subject<Exchange>): LoopbackSubject => ({
  ...subject,
  async setup(url) {
    const exchange: Exchange = { transport: (...args) => fetch(...args), url, init: undefined }
    const { run, ...rest } = await subject.setup(exchange)
    return { ...rest, run: async () => ((await run()) as Response).json() }
  },
})

/** Those of axios have no adapter for Node there, and those of cockatiel do not let their response be read. */
const peersOverFetch = peers
  .filter((peer) => peer !== axiosPeer && peer !== cockatiel)
  .flatMap(({ clients }) => clients ?? [])

const axios: LoopbackSubject = subjectsOf<string>('axios + axios-retry')(
  'retry + timeout',
  ['retry', 'timeout'],
  (url) => {
    const instance = axiosWithRetries({ timeout: TIMEOUT_MS })
    return async () => (await instance.get<unknown>(url)).data
  },
)

const gotClient: LoopbackSubject = subjectsOf<string>('got')(
  'retry + timeout',
  ['retry', 'timeout'],
  (url) => {
    const client = got.extend({ retry: { limit: RETRIES }, timeout: { request: TIMEOUT_MS } })
    return () => client(url).json()
  },
)

const retrying: LoopbackSubject = subjectsOf<string>('undici')(
  'request, retry interceptor',
  ['retry'],
  (url) => ask(url, new Agent().compose(interceptors.retry({ maxRetries: RETRIES }))),
)

const fetchWithSignal = bare('fetch with a signal', [], (url) => () => {
  const { signal } = new AbortController()
  return fetching(globalThis.fetch, url, { signal })()
})
const undiciRequest = bare('undici.request', [], (url) => ask(url, new Agent()))
const byDefault = ours('createFetch()', EVERYTHING, (url) => fetching(createFetch(), url))
const overFastTransport = ours('createFetch over the fast transport', EVERYTHING, (url) =>
  fetching(createFetch({ fetch: transport({ dispatcher: new Agent() }) }), url),
)
const intercepted = ours('undici.request, interceptor', EVERYTHING, (url) =>
  ask(url, new Agent().compose(interceptor())),
)

/** Where the limit lies: what composing takes by itself. */
const interceptedForNothing = bare('undici.request, an interceptor that does nothing', [], (url) =>
  ask(
    url,
    new Agent().compose((dispatch) => (options, handler) => dispatch(options, handler)),
  ),
)

/** What is put upon something else, and that: the difference is its price. */
export const additions: readonly (readonly [added: LoopbackSubject, to: LoopbackSubject])[] = [
  [byDefault, fetchWithSignal],
  [overFastTransport, bareFetch],
  [intercepted, undiciRequest],
  [retrying, undiciRequest],
  [interceptedForNothing, undiciRequest],
]

/** What all others are compared with. */
export const baseline: LoopbackSubject = bareFetch

/** Those of a group are measured side by side, and beside a baseline of their own. */
export const groups: readonly (readonly LoopbackSubject[])[] = [
  [fetchWithSignal, byDefault, overFastTransport],
  [undiciRequest, intercepted, retrying, interceptedForNothing],
  ...inGroups([cockatielReading, ...peersOverFetch.map(overFetch), axios, gotClient], 3),
]

export const loopbackSubjects: readonly LoopbackSubject[] = [baseline, ...groups.flat()]

function inGroups<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size)
  return Array.from({ length: count }, (_, place) => items.slice(place * size, (place + 1) * size))
}
