import { idOf } from '../harness/result.ts'
import type { Keys } from './load.ts'
import type { ServerSubject } from './subject.ts'

type Replaying = Pick<ServerSubject, 'library' | 'name' | 'replays'>

/** A replay makes no order, and anything else makes one: what does otherwise is measured for something that it is not. */
export function expectOrders(subject: Replaying, keys: Keys, requests: number, made: number): void {
  const due = keys === 'known' && subject.replays ? 0 : requests
  if (made !== due)
    throw new Error(`${idOf(subject)} was to make ${due} orders of ${requests} requests, and made ${made}`)
}
