import { BoundedMap } from '../../bounded-map.ts'
import { ordered } from '../../composition.ts'
import { CLIENT_DEFAULTS } from '../../client-defaults.ts'
import { withDefaults, type Complete } from '../../options.ts'
import type { Context, Next, Policy } from '../../policy.ts'
import { BulkheadFullError } from '../../refusals.ts'
import { Semaphore } from '../../semaphore.ts'
import { checkFunction, checkInteger, checkOptions } from '../../validate.ts'
import { BULKHEAD_RULES, type BulkheadSettings } from './settings.ts'

export interface BulkheadOptions extends BulkheadSettings {
  /** Executions with the same key share the places. Default: that of the execution, so all share them unless told. */
  key?: ((context: Context) => string) | undefined
  /** How many keys are kept; only those that nobody uses are forgotten. Default 1000. */
  maxKeys?: number | undefined
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
  })
  return ordered(bulkheadBy(options))
}

/** The policy of options that were checked. */
export function bulkheadBy(options: BulkheadOptions): Bulkhead {
  const {
    key = ({ execution }: Context) => execution.key,
    maxKeys = CLIENT_DEFAULTS.circuitBreaker.maxCircuits,
  } = options
  const settings = withDefaults<Complete<BulkheadSettings>>(CLIENT_DEFAULTS.bulkhead, options)
  const compartments = new BoundedMap<Semaphore>(
    maxKeys,
    () => new Semaphore(settings.maxConcurrent, settings.maxQueued),
    (places) => places.isIdle,
  )
  return {
    name: 'bulkhead',
    settings,
    places(of = 'default') {
      const { running, queued } = compartments.get(of)
      return { running, queued }
    },
    wrap: (next) => (context) => {
      const own = key(context)
      const places = compartments.get(own)
      const turn = places.enter(context.scope, () => fullError(own, places), context.deadline)
      return turn === undefined
        ? within(places, next, context)
        : turn.then(() => within(places, next, context))
    },
  }
}

/** The place is taken; it is given back when what is inside has settled. */
function within<T>(places: Semaphore, next: Next<T>, context: Context): Promise<T> {
  return next(context).then(
    (value) => {
      places.leave()
      return value
    },
    (error: unknown) => {
      places.leave()
      throw error
    },
  )
}

const fullError = (key: string, places: Semaphore): BulkheadFullError =>
  new BulkheadFullError(key, `bulkhead "${key}" is full: ${places.summary}`)
