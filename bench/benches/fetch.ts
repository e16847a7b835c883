import type { RunBench } from '../harness/bench.ts'
import { bound, comparing, type Plan } from './compare.ts'
import type { Exchange, Subject } from '../harness/subject.ts'
import { fetchByHand } from '../limit/by-hand.ts'
import { defaultClient, extras, offClient, parts } from '../ours/clients.ts'
import { bareTransport } from '../peers/bare.ts'
import { peers } from '../peers/peers.ts'

const clients = peers.flatMap((peer) => peer.clients ?? [])
const subjects: Plan<Exchange>['subjects'] = [
  bareTransport,
  fetchByHand,
  defaultClient,
  offClient,
  ...clients,
]

/** The same for everyone: no network, a new response for each request. */
const transport = async (): Promise<Response> => new Response('ok')
const url = 'https://api.example.com/orders'
const post = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ sku: 'anchor', quantity: 3, note: 'leave it with the harbour master' }),
}

const note =
  'Over a transport that answers at once with `new Response("ok")`. Ratios are to that transport alone. ' +
  '`By hand` is the limit: what a good call has to do, in one piece.'

const tables: readonly Plan<Exchange>[] = [
  { title: 'GET', note, subjects },
  {
    title: 'GET, part by part',
    note: `${note} Where the time of Holdfast goes.`,
    subjects: [bareTransport, fetchByHand, offClient, ...parts, defaultClient],
  },
]
const cacheable = async (): Promise<Response> =>
  new Response('ok', { headers: { 'cache-control': 'max-age=600', etag: '"1"' } })
/** What nobody reads to its end, no cache keeps. */
function reading(subject: Subject<Exchange>): Subject<Exchange> {
  return {
    ...subject,
    async setup(exchange) {
      const { run, close } = await subject.setup(exchange)
      return { run: async () => ((await run()) as Response).text(), ...(close && { close }) }
    },
  }
}
const withMore: Plan<Exchange> = {
  title: 'GET, with what is off by default, its text read',
  note: 'Over a transport that answers at once with a response that may be cached. Ratios are to that transport alone.',
  subjects: [reading(bareTransport), ...[defaultClient, ...extras].map(reading)],
}
const withKeys: Plan<Exchange> = {
  title: 'POST with a JSON body',
  note: `${note} Holdfast adds an idempotency key. A retry by ffetch fails before it is sent, since the first attempt has used the body.`,
  subjects,
}

export const plans: readonly Plan<void>[] = [
  ...bound({ transport, url, init: undefined }, tables),
  ...bound({ transport, url, init: post }, [withKeys]),
  ...bound({ transport: cacheable, url, init: undefined }, [withMore]),
]

/** What clients cost around a transport whose response is ready. */
export const run: RunBench = comparing('fetch', plans)
