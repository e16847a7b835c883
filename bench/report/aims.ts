/** What was to be reached, and where a benchmark says whether it was. */
export interface Aim {
  readonly what: string
  readonly bench: string
  /** The titles of its tables: one figure each. */
  readonly tables: readonly string[]
  /** Ids of rows, as `idOf` makes them: of ours, and of what does the same by hand or does nothing: the limit. */
  readonly row: string
  readonly limitRow?: string
  /** What the row is held to: its own figure, the table's baseline, or the peer that does the same and needs least. */
  readonly by: 'itself' | 'baseline' | 'best peer'
  /** Of a table of facts: which column. */
  readonly column?: string
  /** Requests in the same time, not the time of a request: then as much is to be reached, else no more. */
  readonly isRate?: boolean
  readonly limit: number | Readonly<Record<number, number>>
}

const BY_HAND = 'none by hand, for good calls only'
const AT_ONCE = ['one at a time', '64 at once', '256 at once']
const ADDED = AT_ONCE.map((many) => `What is added, ${many}`)
const KEYS = ['every key is new', 'every key is known: a replay']
const on = (framework: string): readonly string[] => KEYS.map((keys) => `${framework}, ${keys}`)

const POLICIES: readonly Aim[] = [
  {
    what: 'The whole default pipeline below 1 us',
    bench: 'policies',
    tables: ['Several policies'],
    row: 'holdfast whole default pipeline',
    limitRow: BY_HAND,
    by: 'itself',
    limit: 1000,
  },
  {
    what: 'And ahead of the best smaller combination of a peer',
    bench: 'policies',
    tables: ['Several policies'],
    row: 'holdfast whole default pipeline',
    limitRow: BY_HAND,
    by: 'best peer',
    limit: 1,
  },
  {
    what: 'A refusal by the breaker below 1 us',
    bench: 'policies',
    tables: ['A refused call'],
    row: 'holdfast open breaker',
    by: 'itself',
    limit: 1000,
  },
  {
    what: 'A refusal by the whole pipeline below 1 us',
    bench: 'policies',
    tables: ['A refused call'],
    row: 'holdfast whole default pipeline, open',
    by: 'itself',
    limit: 1000,
  },
  {
    what: 'The breaker alone below that of the best peer',
    bench: 'policies',
    tables: ['One policy'],
    row: 'holdfast circuitBreaker',
    limitRow: 'none breaker by hand, for good calls only',
    by: 'best peer',
    limit: 1,
  },
]

const CLIENT: readonly Aim[] = [
  {
    what: '`createFetch` over a mock at most 1.2 times the mock: GET, POST',
    bench: 'fetch',
    tables: ['GET', 'POST with a JSON body'],
    row: 'holdfast createFetch()',
    limitRow: BY_HAND,
    by: 'baseline',
    limit: 1.2,
  },
  {
    what: 'The fast transport: requests at least 2.5 times those of `fetch` (1.4 on Node 24), 64 at once',
    bench: 'loopback',
    tables: ['What is added, 64 at once'],
    row: 'holdfast createFetch over the fast transport, to fetch',
    by: 'itself',
    column: 'time',
    isRate: true,
    limit: { 20: 2.5, 24: 1.4 },
  },
  {
    what: 'The interceptor: requests at least 0.9 of those of `undici.request`, 1, 64, 256 at once',
    bench: 'loopback',
    tables: ADDED,
    row: 'holdfast undici.request, interceptor, to undici.request',
    limitRow: 'none undici.request, an interceptor that does nothing, to undici.request',
    by: 'itself',
    column: 'time',
    isRate: true,
    limit: 0.9,
  },
  {
    what: 'CPU of `createFetch` at most 1.08 times that of `fetch` with a signal, 1, 64, 256 at once',
    bench: 'loopback',
    tables: ADDED,
    row: 'holdfast createFetch(), to fetch with a signal',
    by: 'itself',
    column: 'CPU',
    limit: 1.08,
  },
  {
    what: 'At most 400 bytes a circuit: of 100,000, of a million',
    bench: 'circuits',
    tables: ['100,000 circuits', '1,000,000 circuits'],
    row: 'holdfast circuitBreaker()',
    by: 'itself',
    column: 'each',
    limit: 400,
  },
]

const SERVER: readonly Aim[] = [
  {
    what: 'Memory store on Express: requests at least 0.9 of the bare handler: new keys, replays',
    bench: 'server',
    tables: on('express'),
    row: 'holdfast express, memory store',
    by: 'baseline',
    isRate: true,
    limit: 0.9,
  },
  {
    what: 'The same on `node:http`',
    bench: 'server',
    tables: on('node:http'),
    row: 'holdfast node:http, memory store',
    limitRow: 'none by hand, in a Map',
    by: 'baseline',
    isRate: true,
    limit: 0.9,
  },
  {
    what: 'Redis store on Express: requests at least 0.75 of the bare handler: new keys, replays',
    bench: 'server',
    tables: on('express'),
    row: 'holdfast express, Redis store',
    by: 'baseline',
    isRate: true,
    limit: 0.75,
  },
  {
    what: 'The same on `node:http`',
    bench: 'server',
    tables: on('node:http'),
    row: 'holdfast node:http, Redis store',
    limitRow: 'none by hand, in Redis',
    by: 'baseline',
    isRate: true,
    limit: 0.75,
  },
  {
    what: 'Redis store on Express ahead of the best published middleware: new keys, replays',
    bench: 'server',
    tables: on('express'),
    row: 'holdfast express, Redis store',
    by: 'best peer',
    limit: 1,
  },
]

const LOADED: readonly Aim[] = [
  {
    what: '`createFetch` at most 7 KB, minified and compressed',
    bench: 'size',
    tables: ['The client'],
    row: 'holdfast { createFetch }',
    by: 'itself',
    limit: 7 * 1024,
  },
  {
    what: 'Import in 5 ms',
    bench: 'import',
    tables: ['Import time'],
    row: 'holdfast holdfast',
    limitRow: 'none empty module',
    by: 'itself',
    limit: 5,
  },
]

/** In the order of the page. */
export const aims: readonly Aim[] = [...POLICIES, ...CLIENT, ...SERVER, ...LOADED]
