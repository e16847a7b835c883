import {
  between,
  latency,
  outage,
  reset,
  resetAfter,
  seededRandom,
  status,
  type Fault,
  type FaultServerOptions,
  type FaultWindow,
  type ReceivedRequest,
} from '../../testing/index.ts'

/** Tells the fault servers which order a request is about, whatever client sent it. */
export const ORDER_HEADER = 'x-order'

/** Over how long orders come in. The windows below lie within. */
export const ARRIVAL_MS = 30_000

/** When the service is in trouble as a whole, in ms since a client's first order. */
const WINDOWS: readonly (FaultWindow & { readonly name: string })[] = [
  { ...between(4_500, 5_200, status(503, { retryAfter: 1 })), name: '503 burst, Retry-After: 1' },
  { ...between(7_300, 7_700, status(503)), name: '503 burst' },
  { ...between(9_000, 12_500, outage('refused')), name: 'total outage, connections refused' },
  { ...between(12_500, 14_500, outage('reset')), name: 'total outage, connections reset' },
]

/** One order in so many loses the answer to its first request after the API has committed it. */
const LOST_ANSWER_EVERY = 12

/**
 * What befalls a single request on an ordinary day: a pure function of the seed, the order's number and how often this
 * order has been tried, so that every client meets the same.
 *
 * Lost answers are dealt rather than drawn: one in each dozen of orders, chance says which. So even a short run has
 * some. Everything else is drawn for each request by itself.
 */
export function faultFor(seed: number, order: number, attempt: number): Fault | undefined {
  const dozen = Math.floor(order / LOST_ANSWER_EVERY)
  const dealt = Math.floor(seededRandom(seed, 'lost answer', dozen)() * LOST_ANSWER_EVERY)
  if (attempt === 1 && order % LOST_ANSWER_EVERY === dealt) return resetAfter()
  const random = seededRandom(seed, order, attempt)
  const drawn = random()
  if (drawn < 0.02) return resetAfter()
  if (drawn < 0.05) return reset()
  if (drawn < 0.07) return status(500)
  if (drawn < 0.2) return latency(50 + 450 * random())
  return undefined
}

type FaultPlan = Required<Pick<FaultServerOptions, 'faults' | 'timeline' | 'identify'>>

/** The same plan for every client's fault server. A window goes before the faults of single requests. */
export function faultPlan(seed: number): FaultPlan {
  return {
    timeline: WINDOWS,
    identify: ({ headers }) => headers[ORDER_HEADER] ?? '',
    faults: ({ identity, attempt }: ReceivedRequest) => faultFor(seed, Number(identity), attempt),
  }
}

/** What the weather is like, in words, at a time since the start. */
export function weatherAt(atMs: number): string | undefined {
  return WINDOWS.find(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs)?.name
}

/** How long the whole service is gone. */
export const OUTAGE_MS: number = WINDOWS.filter(({ name }) => name.startsWith('total outage')).reduce(
  (sum, { fromMs, toMs }) => sum + toMs - fromMs,
  0,
)
