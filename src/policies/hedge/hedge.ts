import { systemClock, type Clock } from '../../primitives/clock.ts'
import { ordered } from '../../core/composition.ts'
import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { directPolicy, type Start } from '../../core/direct.ts'
import type { Context, Policy } from '../../core/policy.ts'
import { checkFunction, checkInteger, checkOptions, unchecked } from '../../primitives/validate.ts'
import { Race, type RaceRules } from './race.ts'
import { HEDGE_RULES, type HedgeSettings } from './settings.ts'
import { HedgeStore } from './stats.ts'

export interface HedgeOptions<Value = unknown>
  extends HedgeSettings, Pick<RaceRules<Value>, 'isGood' | 'discard' | 'onEvent'> {
  /** Executions with the same key share latencies and a limit. Default: that of the execution. */
  key?: ((context: Context) => string) | undefined
  /** How many keys are kept; the one used longest ago is forgotten first. Default 1000. */
  maxKeys?: number | undefined
  /** Whether an execution may run twice at the same time. Default: all may. */
  isHedgeable?: ((context: Context) => boolean) | undefined
  clock?: Clock | undefined
}

/** What a hedge goes by, besides its settings. */
export interface HedgeRules<Value> extends RaceRules<Value>, Pick<HedgeOptions<Value>, 'isHedgeable'> {
  readonly key: (context: Context) => string
}

/**
 * Cuts the slowest answers: when an attempt takes longer than 95 % of them do, a second one is sent beside it. The
 * first good outcome is given and the other attempt aborted. Stands inside `retry` and outside the breaker. Source: Dean
 * and Barroso, "The Tail at Scale", Communications of the ACM 56 (2), 2013.
 *
 * @example
 * pipeline(retry(), hedge({ delayMs: 50 })).execute(({ signal, isHedge }) => read(isHedge ? replica : primary, signal))
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function hedge<Value = unknown>(options: HedgeOptions<Value> = {}): Policy<Value> {
  checkOptions('hedge', options, {
    ...HEDGE_RULES,
    key: checkFunction,
    isHedgeable: checkFunction,
    isGood: checkFunction,
    discard: checkFunction,
    onEvent: checkFunction,
    maxKeys: (name, value) => checkInteger(name, value, 1),
    clock: unchecked,
  })
  const {
    key = ({ execution }: Context) => execution.key,
    maxKeys = CLIENT_DEFAULTS.circuitBreaker.maxCircuits,
    clock = systemClock,
  } = options
  return ordered(hedgeFrom(new HedgeStore(options, maxKeys), { ...options, key, clock }))
}

/** The policy over a store. */
export function hedgeFrom<Value>(store: HedgeStore, rules: HedgeRules<Value>): Policy<Value> {
  const fields = { name: 'hedge', settings: { ...store.settings } }
  return directPolicy<Value, typeof fields>(fields, <T extends Value>(start: Start<T>): Start<T> => {
    return (context, receiver) => {
      if (context.scope.aborted || rules.isHedgeable?.(context) === false) start(context, receiver)
      else new Race<Value, T>(rules, store.get(rules.key(context)), start, context, receiver).run()
    }
  })
}
