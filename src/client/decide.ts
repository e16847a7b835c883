import { headersOf } from '../http/headers-of.ts'
import { retryAfterMs } from '../http/retry-after.ts'
import { adviceOf, type Verdict } from '../http/verdict.ts'
import { ACCEPT, FINAL, type RetryDecision } from '../policies/retry.ts'
import type { Context, Outcome } from '../core/policy.ts'
import { uniform } from '../primitives/random.ts'
import { callOf, resultFields, type FetchCall } from './call.ts'
import type { RetrySettings } from './settings/settings.ts'

/** A server's Retry-After is a lower bound: jitter only delays further, so that its clients come back spread out. */
const RETRY_AFTER_JITTER = 0.25

/** What to do after an attempt, by HTTP's rules and the caller's. Waits only for a rule of the caller's. */
export function decide(outcome: Outcome<Response>, context: Context): RetryDecision | Promise<RetryDecision> {
  const call = callOf(context)
  const { retry } = call.settings
  if (retry === undefined || call.isLocal(outcome)) return endOfLocal(call)
  const verdict = call.verdictOf(outcome)
  return retry.shouldRetry === undefined
    ? decideBy(undefined, call, outcome, verdict, retry)
    : askCaller(call, outcome, verdict, retry, context)
}

function decideBy(
  wanted: boolean | undefined,
  call: FetchCall,
  outcome: Outcome<Response>,
  verdict: Verdict,
  retry: RetrySettings,
): RetryDecision {
  const again = wanted ?? (verdict.next !== 'accept' && isPermitted(call, outcome, verdict, retry))
  if (!again) return endOf(outcome, verdict)
  return isBodyGone(call) ? { kind: 'stop', reason: 'body' } : resend(call, outcome, verdict, retry)
}

/** An error of this side ends the call; a key that has run out does so because of time. */
function endOfLocal(call: FetchCall): RetryDecision {
  return call.keyLeftMs <= 0 ? { kind: 'stop', reason: 'deadline' } : FINAL
}

/** Accepting earns for the budget: only an answer that is no failure does. */
function endOf(outcome: Outcome, verdict: Verdict): RetryDecision {
  return outcome.ok && verdict.next === 'accept' && verdict.health !== 'failure' ? ACCEPT : FINAL
}

/** RFC 9110, 9.2.2: what may have been done must not be done again, unless the server can tell. */
function isPermitted(
  call: FetchCall,
  outcome: Outcome<Response>,
  { effect }: Verdict,
  { methods }: RetrySettings,
): boolean {
  if (!methods.has(call.method)) return false
  if (call.repeatable || effect === 'untouched') return true
  // The server itself said that trying again is right.
  return outcome.ok && adviceOf(headersOf(outcome.value)) === 'true'
}

/** The caller's own rule. */
async function askCaller(
  call: FetchCall,
  outcome: Outcome<Response>,
  verdict: Verdict,
  retry: RetrySettings,
  { attempt }: Context,
): Promise<RetryDecision> {
  let wanted: boolean | undefined
  try {
    wanted = await retry.shouldRetry?.({ request: call.request, attempt, ...resultFields(outcome) })
  } catch (error) {
    throw call.local(error)
  }
  return decideBy(wanted, call, outcome, verdict, retry)
}

/** What nobody's wish can overcome. */
function isBodyGone({ body, caller }: FetchCall): boolean {
  if (body !== undefined) return !!body.sentOnce
  return caller.request?.bodyUsed === true
}

function resend(
  call: FetchCall,
  outcome: Outcome<Response>,
  { next }: Verdict,
  { maxRetryAfterMs }: RetrySettings,
): RetryDecision {
  const { clock, random } = call.parts
  const free = next === 'wait'
  const notAfterMs = clock.now() + call.keyLeftMs
  const askedMs = outcome.ok ? retryAfterMs(headersOf(outcome.value), clock.wallNow()) : undefined
  if (askedMs !== undefined && askedMs > maxRetryAfterMs) return { kind: 'stop', reason: 'retry-after' }
  const minDelayMs = askedMs && askedMs * uniform(random, 1, 1 + RETRY_AFTER_JITTER)
  return { kind: 'retry', free, notAfterMs, minDelayMs }
}
