import { ordered } from '../core/composition.ts'
import { isHoldfastError, type ErrorCode } from '../primitives/errors.ts'
import { emit } from '../core/emit.ts'
import type { FallbackReason } from '../core/events.ts'
import {
  resultOf,
  unwrap,
  type Context,
  type Next,
  type Outcome,
  type Policy,
  type OnEvent,
} from '../core/policy.ts'
import { checkFunction, checkKeys, invalidOption } from '../primitives/validate.ts'

/** What a fallback answers to. */
export interface FailureInfo<Value> {
  readonly reason: FallbackReason
  readonly outcome: Outcome<Value>
}

export interface FallbackOptions<Value> {
  /** Gives the substitute, or `undefined` to let the failure stand. */
  respond: (failure: FailureInfo<Value>, context: Context) => Value | undefined | Promise<Value | undefined>
  /** Default: any throw. The caller's own abort never is one. */
  isFailure?: ((outcome: Outcome<Value>, context: Context) => boolean) | undefined
  /** Called with the result that the substitute replaces, to free what it holds. */
  discard?: ((value: Value) => void) | undefined
  onEvent?: OnEvent | undefined
}

const REASONS: Readonly<Partial<Record<ErrorCode, FallbackReason>>> = {
  ERR_CIRCUIT_OPEN: 'circuit-open',
  ERR_BULKHEAD_FULL: 'bulkhead',
  ERR_THROTTLED: 'throttled',
  ERR_RATE_LIMITED: 'rate-limited',
  ERR_ATTEMPT_TIMEOUT: 'timeout',
  ERR_TOTAL_TIMEOUT: 'timeout',
  ERR_BODY_IDLE_TIMEOUT: 'timeout',
}

function reasonOf(outcome: Outcome): FallbackReason {
  if (outcome.ok || !isHoldfastError(outcome.error)) return 'exhausted'
  return REASONS[outcome.error.code] ?? 'exhausted'
}

/** The fallback's own error is the newest fact; what it was to help with stays on as the cause. */
function blame(error: unknown, outcome: Outcome): unknown {
  if (error instanceof Error && error.cause === undefined && Object.isExtensible(error)) {
    error.cause = resultOf(outcome)
  }
  return error
}

/**
 * Answers instead of a call that failed. What it throws is surfaced, with the original failure as the `cause`.
 *
 * @example
 * pipeline(fallback<string[]>(() => []), retry()).execute(loadRecommendations)
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function fallback<Value>(
  options: FallbackOptions<Value> | FallbackOptions<Value>['respond'],
): Policy<Value> {
  const settings = typeof options === 'function' ? { respond: options } : options
  if (typeof settings !== 'object') throw invalidOption('fallback', 'a function, or { respond }', settings)
  checkKeys('fallback', settings, ['respond', 'isFailure', 'discard', 'onEvent'])
  checkFunction('fallback.respond', settings.respond)
  return ordered(fallbackBy(settings))
}

/** The policy of options that were checked. */
export function fallbackBy<Value>(settings: FallbackOptions<Value>): Policy<Value> {
  return {
    name: 'fallback',
    wrap<T extends Value>(next: Next<T>): Next<T> {
      const answer = (outcome: Outcome<T>, context: Context): T | Promise<T> =>
        needsFallback(outcome, context, settings) ? substituted(outcome, context, settings) : unwrap(outcome)
      return (context) =>
        next(context).then(
          (value) => answer({ ok: true, value }, context),
          (error: unknown) => answer({ ok: false, error }, context),
        )
    },
  }
}

async function substituted<Value, T extends Value>(
  outcome: Outcome<T>,
  context: Context,
  settings: FallbackOptions<Value>,
): Promise<T> {
  const substitute = await substituteFor(outcome, context, settings)
  // The policy's type says that a fallback makes what the operation makes.
  return substitute === undefined ? unwrap(outcome) : (substitute as T)
}

function needsFallback<V>(outcome: Outcome<V>, context: Context, { isFailure }: FallbackOptions<V>): boolean {
  if (context.scope.abortedBy === 'caller') return false
  return isFailure === undefined ? !outcome.ok : isFailure(outcome, context)
}

async function substituteFor<V>(
  outcome: Outcome<V>,
  context: Context,
  { respond, discard, onEvent }: FallbackOptions<V>,
): Promise<V | undefined> {
  const reason = reasonOf(outcome)
  let substitute: V | undefined
  try {
    substitute = await respond({ reason, outcome }, context)
  } catch (error) {
    if (outcome.ok) discard?.(outcome.value)
    throw blame(error, outcome)
  }
  if (substitute === undefined) return undefined
  // Whoever has left meanwhile was not answered.
  if (!context.scope.aborted) emit(onEvent, { type: 'fallback', reason }, context)
  if (outcome.ok && outcome.value !== substitute) discard?.(outcome.value)
  return substitute
}
