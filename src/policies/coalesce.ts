import { ordered } from '../core/composition.ts'
import { emit } from '../core/emit.ts'
import { type Context, type Next, type OnEvent, type Outcome, type Policy } from '../core/policy.ts'
import { Scope, type AbortListener } from '../primitives/signal.ts'
import { checkFunction, checkKeys, invalidOption } from '../primitives/validate.ts'
import { onWorkers } from '../primitives/on-workers.ts'

export interface CoalesceOptions<Value = unknown> {
  /**
   * What an execution asks for: those with the same key that overlap run once. It must tell apart everything that must
   * not be shared, such as who asks. `undefined`: never shared.
   */
  key: (context: Context) => string | undefined
  /** Makes a copy of the value for each who shares it but the first. Default: all get the same one. */
  share?: ((value: Value) => Value) | undefined
  /** Called with a result that comes when everybody has left, to free what it holds. */
  discard?: ((value: Value) => void) | undefined
  onEvent?: OnEvent | undefined
}

/** Says what each of those who wait gets, in the order in which they came. What it throws they all get. */
export type HandOut<Value> = (
  outcome: Outcome<Value>,
  waiting: readonly Context[],
  run: Context,
) => readonly Outcome<Value>[]

export interface CoalesceRules<Value> extends Omit<CoalesceOptions<Value>, 'share'> {
  readonly handOut: HandOut<Value>
}

/**
 * Executions that ask for the same at the same time share one run. The run is nobody's: who is aborted or times out
 * leaves alone, and only when the last one has left is the run aborted. Once it has settled, the next execution starts
 * a new one: nothing is kept. On Cloudflare's workers, whose requests can share nothing that runs, each has its own run.
 * Known elsewhere as request coalescing, request collapsing or single flight.
 *
 * @example
 * const users = pipeline(coalesce({ key: ({ execution }) => execution.key }), retry())
 * await users.execute(() => loadUser(id), { key: `user:${id}` })
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function coalesce<Value = unknown>(options: CoalesceOptions<Value>): Policy<Value> {
  checkKeys('coalesce', options, ['key', 'share', 'discard', 'onEvent'])
  const { key, share, discard, onEvent } = options
  checkFunction('coalesce.key', key)
  for (const [name, hook] of Object.entries({ share, discard, onEvent })) {
    if (hook !== undefined) checkFunction(`coalesce.${name}`, hook)
  }
  const handOut: HandOut<Value> = (outcome, waiting) =>
    waiting.map((_, place) => (place === 0 ? outcome : copyOf(outcome, share)))
  return ordered(coalesceBy({ ...options, handOut }))
}

function copyOf<Value>(outcome: Outcome<Value>, share: CoalesceOptions<Value>['share']): Outcome<Value> {
  return outcome.ok && share !== undefined ? { ok: true, value: share(outcome.value) } : outcome
}

/** The policy by other rules of handing out. */
export function coalesceBy<Value>(rules: CoalesceRules<Value>): Policy<Value> {
  return {
    name: 'coalesce',
    wrap<T extends Value>(next: Next<T>): Next<T> {
      // There a request could neither wait for the run of another one nor read its response.
      if (onWorkers()) return next
      const runs = new Map<string, Run<Value, T>>()
      return (context) => {
        const key = context.scope.aborted ? undefined : keyOf(rules, context)
        if (key === undefined) return next(context)
        const running = runs.get(key)
        if (running !== undefined) {
          const outcome = running.join(context)
          emit(rules.onEvent, { type: 'coalesced' }, context)
          return outcome
        }
        const run: Run<Value, T> = new Run(rules, context, () => {
          if (runs.get(key) === run) runs.delete(key)
        })
        runs.set(key, run)
        const outcome = run.join(context)
        run.start(next)
        return outcome
      }
    },
  }
}

function keyOf({ key }: Pick<CoalesceOptions, 'key'>, context: Context): string | undefined {
  const made: unknown = key(context)
  if (made === undefined || typeof made === 'string') return made
  throw invalidOption('what coalesce.key() returns', 'a string or undefined', made)
}

/** One who waits for a run. */
interface Subscriber<T> extends AbortListener {
  readonly context: Context
  readonly settle: (outcome: Outcome<T>) => void
}

/** A run, and who waits for it. */
class Run<Value, T extends Value> {
  readonly #rules: CoalesceRules<Value>
  readonly #context: Context
  /** Nobody need join any more. */
  readonly #close: () => void
  readonly #subscribers = new Set<Subscriber<T>>()

  constructor(rules: CoalesceRules<Value>, leader: Context, close: () => void) {
    this.#rules = rules
    // Nobody's own end may be the run's: each waits within its own scope and deadline, the run within neither.
    this.#context = leader.within(new Scope(), Infinity)
    this.#close = close
  }

  start(next: Next<T>): void {
    invoke(next, this.#context)
      .then(
        (value) => this.#settle({ ok: true, value }),
        (error: unknown) => this.#settle({ ok: false, error }),
      )
      // What `discard` throws when everybody has left has nobody to hear it.
      .catch(() => {})
  }

  join(context: Context): Promise<T> {
    return new Promise((resolve, reject) => {
      const subscriber: Subscriber<T> = {
        context,
        settle: (outcome) => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)),
        onAbort: (scope) => this.#leave(subscriber, scope),
      }
      this.#subscribers.add(subscriber)
      context.scope.add(subscriber)
    })
  }

  #leave(subscriber: Subscriber<T>, scope: Scope): void {
    subscriber.settle({ ok: false, error: scope.reason })
    this.#subscribers.delete(subscriber)
    if (this.#subscribers.size > 0) return
    this.#close()
    // As it would have ended were it the last one's own.
    this.#context.scope.onAbort(scope)
  }

  #settle(outcome: Outcome<T>): void {
    this.#close()
    const waiting = [...this.#subscribers]
    if (waiting.length === 0) {
      if (outcome.ok) this.#rules.discard?.(outcome.value)
      return
    }
    for (const subscriber of waiting) subscriber.context.scope.remove(subscriber)
    const outcomes = this.#outcomesFor(waiting, outcome)
    for (const [place, subscriber] of waiting.entries()) subscriber.settle(outcomes[place] ?? outcome)
  }

  #outcomesFor(waiting: readonly Subscriber<T>[], outcome: Outcome<T>): readonly Outcome<T>[] {
    try {
      const contexts = waiting.map(({ context }) => context)
      // A copy of a T is one.
      return this.#rules.handOut(outcome, contexts, this.#context) as readonly Outcome<T>[]
    } catch (error) {
      return waiting.map(() => ({ ok: false, error }))
    }
  }
}

/** `async`, so that a policy which throws before it returns its promise fails like any other. */
async function invoke<T>(next: Next<T>, context: Context): Promise<T> {
  return next(context)
}
