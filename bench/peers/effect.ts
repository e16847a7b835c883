import { Effect, Schedule } from 'effect'
import {
  clientsOf,
  subjectsOf,
  type Ability,
  type Peer,
  type Ready,
  type Subject,
} from '../harness/subject.ts'
import { BASE_DELAY_MS, MAX_DELAY_MS, RETRIES, throwing, TIMEOUT_MS } from './settings.ts'

/** It has no breaker; a program is made once and run for each call, as its users do. */
type Program = Effect.Effect<unknown, unknown>

const delays = Schedule.jittered(
  Schedule.min([Schedule.exponential(BASE_DELAY_MS), Schedule.spaced(MAX_DELAY_MS)]),
)
const retrying = (program: Program): Program => Effect.retry(program, { schedule: delays, times: RETRIES })
const timed = (program: Program): Program => Effect.timeout(program, TIMEOUT_MS)

const subject = subjectsOf<Ready>('effect')
const policy = (
  name: string,
  has: readonly Ability[],
  around: (program: Program) => Program,
): Subject<Ready> =>
  subject(name, has, (ready) => {
    const program = around(Effect.tryPromise(ready))
    return () => Effect.runPromise(program)
  })

const client = clientsOf('effect')

export const effect: Peer = {
  policies: [
    policy('retry', ['retry'], retrying),
    policy('timeout', ['timeout'], timed),
    policy('retry + timeout', ['retry', 'timeout'], (program) => retrying(timed(program))),
  ],
  clients: [
    client('retry + timeout', ['retry', 'timeout'], (transport) => (url, init) => {
      const send = Effect.tryPromise((signal) => throwing(transport(url, { ...init, signal })))
      return Effect.runPromise(retrying(timed(send)))
    }),
  ],
}
