import { rejected, type Context, type Failure, type Next, type Outcome, type Policy } from './policy.ts'
import { createStamp } from '../primitives/stamp.ts'

/** Who is told how work has ended: once. What it is told may be handed on as it is. */
export interface Receiver<T> {
  end(outcome: Outcome<T>): void
}

/** Begins a context's work and tells `receiver` how it ends: a `Next` without the promise. It throws, or it tells. */
export type Start<T> = (context: Context, receiver: Receiver<T>) => void

/** What a policy puts around work, in terms of `Start`. */
export type Around<Value> = <T extends Value>(start: Start<T>) => Start<T>

/** Both forms of the same work. */
export interface Work<T> {
  readonly next: Next<T>
  readonly start: Start<T>
}

const arounds = createStamp<Around<never>>()

/**
 * A policy that stands beside others of its kind without a promise between them: with the five of the default pipeline
 * a call takes 490 instead of 650 ns. It tells in the async context of the call, since whoever is told may go on with
 * further work: what is told by a timer goes through a promise that was made before.
 */
export function directPolicy<Value, Fields extends Pick<Policy, 'name' | 'settings'>>(
  fields: Fields,
  around: Around<Value>,
): Fields & Policy<Value> {
  const wrap = <T extends Value>(next: Next<T>): Next<T> => nextOf(around(startOf(promising(next))))
  const policy = { ...fields, wrap }
  arounds.set(policy, around)
  return policy
}

/** Settles a promise. */
export class Settler<T> implements Receiver<T> {
  declare readonly resolve: (value: T | Promise<T>) => void
  declare readonly reject: (error: unknown) => void

  constructor(resolve: (value: T | Promise<T>) => void, reject: (error: unknown) => void) {
    this.resolve = resolve
    this.reject = reject
  }

  end(outcome: Outcome<T>): void {
    if (outcome.ok) this.resolve(outcome.value)
    else this.reject(outcome.error)
  }
}

export const failed = (error: unknown): Failure => ({ ok: false, error })

/** Begins work for a receiver that is also told of what is thrown. */
export function begin<T>(start: Start<T>, context: Context, receiver: Receiver<T>): void {
  try {
    start(context, receiver)
  } catch (error) {
    receiver.end(failed(error))
  }
}

/** Tells how a promise ends. */
export function follow<T>(work: Promise<T>, receiver: Receiver<T>): void {
  work.then(
    (value) => receiver.end({ ok: true, value }),
    (error: unknown) => receiver.end(failed(error)),
  )
}

export function startOf<T>(next: Next<T>): Start<T> {
  return (context, receiver) => follow(next(context), receiver)
}

export function nextOf<T>(start: Start<T>): Next<T> {
  return (context) => new Promise((resolve, reject) => start(context, new Settler(resolve, reject)))
}

/**
 * What is no promise becomes one, and what is thrown before there is one fails like anything else. An `async` function
 * does the same for 60 ns more.
 */
function promising<T>(next: Next<T>): Next<T> {
  return (context) => {
    try {
      return Promise.resolve(next(context))
    } catch (error) {
      return rejected(error)
    }
  }
}

/** Foreign code as work. */
export function workOf<T>(foreign: Next<T>): Work<T> {
  const next = promising(foreign)
  return { next, start: startOf(next) }
}

/** Work that is told by a receiver. */
export const directWork = <T>(start: Start<T>): Work<T> => ({ start, next: nextOf(start) })

/** Puts policies around work, outermost first. */
export function compose<Value>(policies: readonly Policy<Value>[], innermost: Work<Value>): Work<Value> {
  return policies.reduceRight((inner, policy) => {
    // It was made for values of this policy.
    const around: Around<Value> | undefined = arounds.get(policy)
    if (around === undefined) return workOf(policy.wrap(inner.next))
    return directWork(around(inner.start))
  }, innermost)
}
