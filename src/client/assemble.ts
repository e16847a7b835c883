import type { Clock } from '../primitives/clock.ts'
import { discard, discardResult } from '../http/discard.ts'
import type { Described } from '../core/describe.ts'
import { parsedUrl } from '../http/parsed-url.ts'
import { compose, directWork, type Start } from '../core/direct.ts'
import { guard, type CircuitStore } from '../policies/circuit-breaker/guard.ts'
import { fallbackBy, type FailureInfo } from '../policies/fallback.ts'
import { lendBudget, type RetryBudgets } from '../policies/retry-budget.ts'
import { retryBy, type RetryOptions } from '../policies/retry.ts'
import { timeoutBy } from '../policies/timeout.ts'
import { orderCheck, type Context, type Outcome, type Policy } from '../core/policy.ts'
import type { Random } from '../primitives/random.ts'
import { attempt } from './attempt.ts'
import { callOf, eventResult, resultFields, type FetchCall } from './call.ts'
import { decide } from './decide.ts'
import { bodyIdlePolicy, coalescePolicy, resumingBodies, waitingGuard } from './optional-policies.ts'
import type { FetchCircuitBreakerOptions } from './options.ts'
import type { FallbackSettings, RetrySettings, Settings } from './settings/settings.ts'

/** What the policies of a client are made from, besides its settings; fetches derived from each other share it. */
export interface SharedParts {
  readonly clock: Clock
  readonly random: Random
  readonly circuits: CircuitStore
  readonly budgets: RetryBudgets
  readonly bulkhead: Policy<Response> | undefined
  readonly hedge: Policy<Response> | undefined
}

export interface Assembly {
  readonly start: Start<Response>
  /** Outermost first. */
  readonly policies: readonly Policy<Response>[]
}

/**
 * A client's pipeline. Each place has its reason: the fallback sees every failure, with
 * the cache before it; calls that share a request share its total timeout, which covers retries and
 * waits; the bulkhead's queue is no time of the service's, so it is outside the breaker, which samples attempts and
 * can end a retry; timeouts of attempts count as failures.
 */
export function assemble(settings: Settings, shared: SharedParts): Assembly {
  const { totalMs, attemptMs, bodyIdleMs, circuitBreaker, policies } = settings
  const { clock } = shared
  const total = totalMs && timeoutBy({ totalMs, clock, discard: discardResult })
  const budget = settings.retryBudget && lendBudget(shared.budgets)
  const all = [
    bodyIdleMs && bodyIdlePolicy(bodyIdleMs, clock),
    settings.fallback && fallbackPolicy(settings.fallback),
    settings.cache?.policy(clock),
    settings.coalesce && coalescePolicy(total),
    total,
    budget,
    settings.retry && retryPolicy(settings.retry, shared),
    settings.hedge && shared.hedge,
    ...policies,
    settings.bulkhead && shared.bulkhead,
    circuitBreaker && breakerPolicy(circuitBreaker, attemptMs, shared),
    attemptMs && timeoutBy({ attemptMs, clock, discard: discardResult }),
  ].filter(isOn)
  // Its own order is right; what is given to it may not fit.
  for (const own of policies) orderCheck.get(own)?.('createFetch', all)
  return { start: compose<Response>(all, directWork(attempt)).start, policies: all }
}

/** The pipeline with what is no policy but belongs to the picture: the key around it, the transport inside. */
export function describedParts(settings: Settings, { policies }: Assembly): readonly Described[] {
  const { idempotency, transport = 'globalThis.fetch' } = settings
  const { header, methods, honoredBy = 'all' } = idempotency ?? {}
  const keys = idempotency && { name: 'idempotency-key', settings: { header, methods, honoredBy } }
  return [keys, ...policies, { name: 'transport', settings: { fetch: transport } }].filter(isOn)
}

const isOn = <T>(policy: T | undefined | false | 0): policy is T => Boolean(policy)

function retryPolicy(settings: RetrySettings, shared: SharedParts): Policy<Response> {
  const rules: RetryOptions<Response> = {
    ...settings,
    shouldRetry: decide,
    discard,
    describe: eventResult,
    onDelay(delayMs, context) {
      const call = callOf(context)
      call.resend()
      call.delaysMs = [...call.delaysMs, delayMs]
    },
    clock: shared.clock,
    random: shared.random,
  }
  return retryBy(rules, settings.resumeBody ? resumingBodies(shared.clock) : undefined)
}

function breakerPolicy(
  options: FetchCircuitBreakerOptions,
  leaseMs: number | undefined,
  { circuits }: SharedParts,
): Policy<Response> {
  const { whenOpen = circuits.settings.whenOpen, isFailure, key } = options
  const rules: Parameters<typeof guard<Response>>[1] = {
    whenOpen,
    // A test request that outlives its attempt timeout has failed; without one, its open time is the bound.
    leaseMs,
    isFailure(outcome, context) {
      const call = callOf(context)
      if (call.isOwn(outcome)) return 'ignored'
      const { health } = call.verdictOf(outcome)
      return askCaller(call, outcome, isFailure) ?? (health === 'ignored' ? health : health === 'failure')
    },
    settledKey: key === undefined ? originOfAnswer : undefined,
  }
  return whenOpen === 'wait' ? waitingGuard(circuits, rules) : guard(circuits, rules)
}

/** The caller's own rule. */
function askCaller(
  call: FetchCall,
  outcome: Outcome<Response>,
  isFailure: FetchCircuitBreakerOptions['isFailure'],
): boolean | undefined {
  try {
    return isFailure?.({ request: call.request, ...resultFields(outcome) })
  } catch (error) {
    // Nobody will read the response.
    if (outcome.ok) discard(outcome.value)
    throw call.local(error)
  }
}

/** Whom a response came from in the end, after redirects. */
function originOfAnswer(outcome: Outcome<Response>): string | undefined {
  return outcome.ok && outcome.value.redirected ? parsedUrl(outcome.value.url)?.origin : undefined
}

function fallbackPolicy({ methods, respond }: FallbackSettings): Policy<Response> {
  return fallbackBy<Response>({
    isFailure: (outcome, context) =>
      methods.has(callOf(context).method) && callOf(context).hasFailed(outcome),
    discard,
    async respond({ reason, outcome }: FailureInfo<Response>, context: Context) {
      const call = callOf(context)
      const substitute = await respond({
        request: call.request,
        reason,
        ...resultFields(outcome),
        idempotencyKey: call.idempotencyKey,
        uncertain: call.uncertain,
      })
      if (substitute !== undefined) call.source = 'fallback'
      return substitute
    },
  })
}
