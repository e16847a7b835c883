import type { Bench } from './harness/bench.ts'

/** All benchmarks, in the order of the page. */
export const benches: readonly Bench[] = [
  {
    name: 'policies',
    what: 'What each policy and whole pipelines cost around a ready async function, and a refused call.',
    takes: 'about seven minutes',
    rounds: { full: 9, quick: 1 },
    load: () => import('./benches/policies.ts'),
  },
  {
    name: 'fetch',
    what: 'What createFetch and other clients cost over a transport that answers at once.',
    takes: 'about seven minutes',
    rounds: { full: 9, quick: 1 },
    load: () => import('./benches/fetch.ts'),
  },
  {
    name: 'loopback',
    what: 'What clients cost over real HTTP: throughput, latency, CPU and memory, each in a process of its own.',
    takes: 'about a quarter of an hour',
    rounds: { full: 6, quick: 1 },
    load: () => import('./benches/loopback.ts'),
  },
  {
    name: 'server',
    what: 'What idempotency costs a server, on each store, for new keys and for replays.',
    takes: 'about seven minutes',
    rounds: { full: 21, quick: 3 },
    calls: { full: 1500, quick: 300 },
    load: () => import('./benches/server.ts'),
  },
  {
    name: 'circuits',
    what: '100,000 and 1,000,000 circuits: memory, time, idle work, and what stays when they are dropped.',
    takes: 'about three minutes',
    rounds: { full: 3, quick: 1 },
    load: () => import('./benches/circuits.ts'),
  },
  {
    name: 'outages',
    what: 'A service that fails now and then, and one that is down for a while: who gets through, at what load.',
    takes: 'about a minute',
    load: () => import('./benches/outages.ts'),
  },
  {
    name: 'million',
    what: '1,000,000 calls on one long-lived signal: heap, handles, listeners and circuits stay flat.',
    takes: 'one to two minutes',
    calls: { full: 1_000_000, quick: 100_000 },
    load: () => import('./benches/million.ts'),
  },
  {
    name: 'size',
    what: 'Bundled, minified and compressed: every entry, single exports, and the peers.',
    takes: 'a few seconds',
    load: () => import('./benches/size.ts'),
  },
  {
    name: 'import',
    what: 'How long each entry takes to import in a new process, and the peers.',
    takes: 'half a minute',
    rounds: { full: 21, quick: 3 },
    load: () => import('./benches/import.ts'),
  },
]
