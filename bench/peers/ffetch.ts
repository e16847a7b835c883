import { createClient, type FFetchOptions } from '@fetchkit/ffetch'
import { clientsOf, type Ability, type Exchange, type Peer, type Subject } from '../harness/subject.ts'
import { delayBefore, OPEN_MS, RETRIES, TIMEOUT_MS } from './settings.ts'

const subject = clientsOf('@fetchkit/ffetch')
const retrying: FFetchOptions = { retries: RETRIES, retryDelay: ({ attempt }) => delayBefore(attempt) }
const variant = (name: string, has: readonly Ability[], options: FFetchOptions): Subject<Exchange> =>
  subject(name, has, (transport) => createClient({ fetchHandler: transport, ...retrying, ...options }))

/** A timeout of 0 is none. */
const UNTIMED = { timeout: 0 }
const TIMED = { timeout: TIMEOUT_MS }
const circuit = { threshold: 5, reset: OPEN_MS }

export const ffetch: Peer = {
  clients: [
    variant('retry', ['retry'], UNTIMED),
    variant('retry + timeout', ['retry', 'timeout'], TIMED),
    variant('retry + breaker + timeout', ['retry', 'breaker', 'timeout'], { ...TIMED, circuit }),
  ],
}
