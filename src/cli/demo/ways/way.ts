import type { Clock } from '../../../primitives/clock.ts'
import type { Scope } from '../../../primitives/signal.ts'
import type { Order } from '../order.ts'
import type { Tally } from '../tally.ts'

export interface WayContext {
  /** Where orders are posted. */
  readonly url: string
  readonly clock: Clock
  /** Ends the waiting. */
  readonly scope: Scope
  readonly tally: Tally
}

/** Sends an order, and tells whether it ended with a definite confirmation. */
export type Place = (order: Order) => Promise<boolean>

/** A way of sending orders; one for each column of the table. */
export type Way = (context: WayContext) => Place
