import { delay } from '../../../primitives/delay.ts'
import { orderRequest } from '../order.ts'
import { drain } from './drain.ts'
import type { Way } from './way.ts'

const RETRIES = 4
const PAUSE_MS = 1000

/** What many write first: again, after a second, up to four times, and with nothing that tells the API "it is me". */
export const naive: Way =
  ({ url, clock, scope, tally }) =>
  async (order) => {
    for (let attempt = 0; attempt <= RETRIES; attempt++) {
      if (attempt > 0) {
        tally.retries++
        await delay(clock, PAUSE_MS, scope)
      }
      tally.requests++
      try {
        const response = await fetch(url, orderRequest(order, scope.signal))
        await drain(response)
        if (response.ok) return true
      } catch {
        // The next attempt may do better.
      }
    }
    return false
  }
