import { delay } from '../../../primitives/delay.ts'
import type { HoldfastEvent } from '../../../core/events.ts'
import { createFetch } from '../../../index.ts'
import { orderRequest } from '../order.ts'
import type { Tally } from '../tally.ts'
import { parkAndResend } from './park-and-resend.ts'
import { drain } from './drain.ts'
import type { Way, WayContext } from './way.ts'

/** Holdfast with its default policies. The clock is only there for `--fast`, the listener only counts. */
export const holdfast: Way = (context) => {
  const { url, clock, scope, tally } = context
  const fetch = createFetch({ clock, onEvent: (event) => count(tally, event) })
  return async (order) => {
    const response = await parkAndResend(fetch, url, orderRequest(order, scope.signal), parking(context))
    await drain(response)
    return response.ok
  }
}

function count(tally: Tally, event: HoldfastEvent): void {
  if (event.type === 'attempt-start') tally.requests++
  else if (event.type === 'retry') tally.retries++
  else if (event.type === 'circuit-open') tally.circuitOpenings++
}

/** Where one order waits. */
function parking({ clock, scope, tally }: WayContext): (waitMs: number) => Promise<void> {
  let parkedBefore = false
  return async (waitMs) => {
    if (!parkedBefore) tally.parked++
    parkedBefore = true
    tally.waiting++
    tally.parkedMs += waitMs
    await delay(clock, waitMs, scope)
    tally.waiting--
  }
}
