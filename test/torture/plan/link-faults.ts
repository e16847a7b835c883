import { seededRandom } from '../../../src/testing/seeded-random.ts'
import type { Where } from './plan.ts'

/** What befalls one message from a client to a server, or from a server to the store, and its connection with it. */
export type LinkFault =
  /** It never arrives; the connection ends. */
  | { readonly kind: 'request dropped' }
  /** It arrives and is answered; the answer is dropped with the connection. */
  | { readonly kind: 'answer dropped' }
  /** The connection ends at once, in both directions. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** It arrives, nothing comes back, and after `ms` the connection ends. */
  | { readonly kind: 'silence'; readonly ms: number }

interface Rates {
  readonly dropRequest: number
  readonly dropAnswer: number
  readonly reset: number
  readonly silence: number
  readonly delay: number
  readonly longestDelayMs: number
}

/** A request is one message to a server, and several to the store. */
const RATES: Readonly<Record<Where, Rates>> = {
  clients: {
    dropRequest: 0.015,
    dropAnswer: 0.03,
    reset: 0.01,
    silence: 0.003,
    delay: 0.05,
    longestDelayMs: 80,
  },
  store: {
    dropRequest: 0.002,
    dropAnswer: 0.005,
    reset: 0.002,
    silence: 0.001,
    delay: 0.02,
    longestDelayMs: 40,
  },
}

/** A pure function of the seed, the link, the connection's number and the message's. */
export function linkFault(
  seed: number,
  where: Where,
  link: string,
  connection: number,
  message: number,
): LinkFault | undefined {
  const random = seededRandom(seed, where, link, connection, message)
  const rates = RATES[where]
  let drawn = random()
  const falls = (rate: number): boolean => (drawn -= rate) < 0
  if (falls(rates.dropRequest)) return { kind: 'request dropped' }
  if (falls(rates.dropAnswer)) return { kind: 'answer dropped' }
  if (falls(rates.reset)) return { kind: 'reset' }
  if (falls(rates.silence)) return { kind: 'silence', ms: 200 + 800 * random() }
  if (falls(rates.delay)) return { kind: 'delay', ms: rates.longestDelayMs * random() }
  return undefined
}
