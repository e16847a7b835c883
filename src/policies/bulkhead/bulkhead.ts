import { BoundedMap } from '../../structures/bounded-map.ts'
import { ordered } from '../../core/composition.ts'
import type { Clock } from '../../primitives/clock.ts'
import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { begin, directPolicy, failed, type Receiver, type Start } from '../../core/direct.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import type { Context, Outcome, Policy } from '../../core/policy.ts'
import { BulkheadFullError } from '../../primitives/refusals.ts'
import { onTurn, Semaphore } from '../../structures/semaphore.ts'
import { checkFunction, checkInteger, checkOptions, unchecked } from '../../primitives/validate.ts'
import { BULKHEAD_RULES, type BulkheadSettings } from './settings.ts'

export interface BulkheadOptions extends BulkheadSettings {
  /** Executions with the same key share the places. Default: that of the execution, so all share them unless told. */
  key?: ((context: Context) => string) | undefined
  /** How many keys are kept; only those that nobody uses are forgotten. Default 1000. */
  maxKeys?: number | undefined
  /** Default: the platform's time. */
  clock?: Clock | undefined
}

export interface Bulkhead extends Policy {
  /** How many run and how many wait just now. */
  places(key?: string): { readonly running: number; readonly queued: number }
}

/**
 * Keeps one slow service from taking everything: of each key only so many executions run at once, some more wait in
 * line, further ones are refused with a `BulkheadFullError`. Stands inside `retry` and outside the breaker and the
 * attempt timeout, so that a wait in line counts as nobody's slowness. A place is held until what is inside has settled.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function bulkhead(options: BulkheadOptions = {}): Bulkhead {
  checkOptions('bulkhead', options, {
    ...BULKHEAD_RULES,
    key: checkFunction,
    maxKeys: (name, value) => checkInteger(name, value, 1),
    clock: unchecked,
  })
  return ordered(bulkheadBy(options))
}

/** The policy of options that were checked. */
export function bulkheadBy(options: BulkheadOptions): Bulkhead {
  const {
    key = ({ execution }: Context) => execution.key,
    maxKeys = CLIENT_DEFAULTS.circuitBreaker.maxCircuits,
    clock,
  } = options
  const settings = withDefaults<Complete<BulkheadSettings>>(CLIENT_DEFAULTS.bulkhead, options)
  const compartments = new BoundedMap<Semaphore>(
    maxKeys,
    () => new Semaphore(settings.maxConcurrent, settings.maxQueued, clock),
    (places) => places.isIdle,
  )
  const fields = {
    name: 'bulkhead',
    settings,
    places(of = 'default') {
      const { running, queued } = compartments.get(of)
      return { running, queued }
    },
  }
  return directPolicy(fields, <T>(start: Start<T>): Start<T> => {
    return (context, receiver) => {
      const own = key(context)
      const places = compartments.get(own)
      const turn = places.enter(context.scope, () => fullError(own, places), context.deadline)
      onTurn(
        turn,
        (error) => receiver.end(failed(error)),
        () => begin(start, context, new Place(places, receiver)),
      )
    }
  })
}

/** It is given back when what is inside has settled. */
class Place<T> implements Receiver<T> {
  readonly #places: Semaphore
  readonly #receiver: Receiver<T>

  constructor(places: Semaphore, receiver: Receiver<T>) {
    this.#places = places
    this.#receiver = receiver
  }

  /** Told before the next one is let in: that may be a hedge of the same execution, which nobody needs any more. */
  end(outcome: Outcome<T>): void {
    try {
      this.#receiver.end(outcome)
    } finally {
      this.#places.leave()
    }
  }
}

const fullError = (key: string, places: Semaphore): BulkheadFullError =>
  new BulkheadFullError(key, `bulkhead "${key}" is full: ${places.summary}`)
