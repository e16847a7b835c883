import type { Clock } from './clock.ts'
import { begin, type Receiver, type Start } from './direct.ts'
import type { Context } from './policy.ts'
import type { Scope } from './signal.ts'

/** The scope whose work is being begun, and when. */
let beginning: Scope | undefined
let beginningMs = 0

/** Begins work as `begin` does, at a time that has just been read: what asks for it in the same step gets the same. */
export function beginAt<T>(nowMs: number, start: Start<T>, context: Context, receiver: Receiver<T>): void {
  beginning = context.scope
  beginningMs = nowMs
  begin(start, context, receiver)
  beginning = undefined
}

/** The time, for work within a scope: each reading of the clock takes 40 ns and more. */
export const nowIn = (scope: Scope, clock: Clock): number => (scope === beginning ? beginningMs : clock.now())
