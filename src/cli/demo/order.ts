import { ORDER_HEADER } from './plan.ts'

export interface Order {
  readonly number: number
  readonly item: string
  readonly quantity: number
}

const ITEMS = ['anchor', 'bollard', 'cleat', 'davit', 'eyebolt', 'fender', 'grommet', 'halyard']

export function makeOrders(count: number): Order[] {
  return Array.from({ length: count }, (_, number) => ({
    number,
    item: ITEMS[number % ITEMS.length] ?? 'anchor',
    quantity: 1 + (number % 3),
  }))
}

/** The request that places an order: the same for every client. */
export function orderRequest(order: Order, signal: AbortSignal): RequestInit {
  return {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json', [ORDER_HEADER]: String(order.number) },
    body: JSON.stringify(order),
  }
}
