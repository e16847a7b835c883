import { orderRequest } from '../order.ts'
import { drain } from './drain.ts'
import type { Way } from './way.ts'

/** One fetch an order, and whatever comes of it. */
export const bare: Way =
  ({ url, scope, tally }) =>
  async (order) => {
    tally.requests++
    try {
      const response = await fetch(url, orderRequest(order, scope.signal))
      await drain(response)
      return response.ok
    } catch {
      return false
    }
  }
