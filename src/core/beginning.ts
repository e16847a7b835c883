import type { Clock } from '../primitives/clock.ts'
import { begin, type Receiver, type Start } from './direct.ts'
import type { Context } from './policy.ts'
import type { Scope } from '../primitives/signal.ts'

/** The scope whose work is being begun, and when: by which clock. */
let beginning: Scope | undefined
let beginningMs = 0
let readClock: Clock | undefined

/** Begins work as `begin` does, at a time just read from `clock`: what asks for it in the same step gets the same. */
export function beginAt<T>(
  clock: Clock,
  nowMs: number,
  start: Start<T>,
  context: Context,
  receiver: Receiver<T>,
): void {
  readClock = clock
  beginning = context.scope
  beginningMs = nowMs
  begin(start, context, receiver)
  beginning = undefined
}

/** The time, for work within a scope: each reading of the clock takes 40 ns and more. */
export const nowIn = (scope: Scope, clock: Clock): number =>
  scope === beginning && clock === readClock ? beginningMs : clock.now()
