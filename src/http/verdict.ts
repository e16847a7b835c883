import { isLocalRejection } from '../primitives/errors.ts'
import type { Outcome } from '../core/policy.ts'
import { headersOf } from './headers-of.ts'
import { isAbort, isEndedHere, isRefusedHere, provablyNeverLeft } from './network-error.ts'
import { isNeutral, isRefused } from './statuses.ts'

/** What an attempt's outcome means, in HTTP's terms. */
export interface Verdict {
  /** What the retry does: leave it, try again, or wait for the answer that is on its way. */
  readonly next: 'accept' | 'retry' | 'wait'
  /** What the breaker counts. */
  readonly health: 'success' | 'failure' | 'ignored'
  /**
   * What is known of the operation afterwards: 'answered' by a definite response; 'untouched' by this attempt, which
   * the server refused or never saw; or 'unknown', since bytes may have left and no definite answer came.
   */
  readonly effect: 'answered' | 'untouched' | 'unknown'
}

const ANSWERED: Verdict = { next: 'accept', health: 'success', effect: 'answered' }
/** Not applied; an earlier attempt may have been. */
const NOT_APPLIED: Verdict = { next: 'accept', health: 'success', effect: 'untouched' }
const RECORDED: Verdict = { next: 'accept', health: 'ignored', effect: 'answered' }
const IN_FLIGHT: Verdict = { next: 'wait', health: 'success', effect: 'unknown' }
const REFUSED: Verdict = { next: 'retry', health: 'ignored', effect: 'untouched' }
const SLOW_CLIENT: Verdict = { next: 'retry', health: 'ignored', effect: 'unknown' }
const FAILED: Verdict = { next: 'retry', health: 'failure', effect: 'unknown' }
const NEVER_LEFT: Verdict = { next: 'retry', health: 'failure', effect: 'untouched' }
const REJECTED_HERE: Verdict = { next: 'accept', health: 'ignored', effect: 'untouched' }
const ABANDONED: Verdict = { next: 'accept', health: 'ignored', effect: 'unknown' }

export interface VerdictRules {
  /** Whether the call carries an idempotency key. */
  readonly keyed: boolean
  /** Whether another attempt of the call is under way: then a 409 for its key speaks of that one. */
  readonly isRacing?: boolean
  /** Whether a status is one that is tried again. */
  readonly isTransient: (status: number) => boolean
  /** Where the request went. */
  readonly url: URL
  /** Told when an answer to a call with a key shows that its origin knows keys. */
  onMarkers?(): void
}

export function verdictOf(outcome: Outcome<Response>, rules: VerdictRules): Verdict {
  return outcome.ok ? verdictOfResponse(outcome.value, rules) : verdictOfError(outcome.error, rules.url)
}

function verdictOfResponse(response: Response, rules: VerdictRules): Verdict {
  const { status } = response
  const { keyed, isRacing, isTransient } = rules
  // An opaque response has status 0: it is no failure, and nothing can be read of it.
  const isFine = status < 400 && !isTransient(status)
  if (isFine && !keyed) return ANSWERED
  const headers = headersOf(response)
  // The markers by which a server tells that it knows keys, and what it did with this one.
  const replayed = headers.get('idempotent-replayed')
  const state = headers.get('idempotency-status')
  if (keyed && (replayed ?? state) !== null) rules.onMarkers?.()
  // On record: the same key brings the same answer, so asking again cannot change it.
  if (replayed === 'true' || state === 'stored') return RECORDED
  if (isFine) return ANSWERED
  if (status === 409 && keyed && (isRacing || state === 'in-flight' || headers.get('retry-after')))
    return IN_FLIGHT
  const verdict = isTransient(status) ? byClass(status) : untried(response)
  return advised(headers, response.redirected ? afterRedirect(verdict) : verdict)
}

function byClass(status: number): Verdict {
  if (isRefused(status)) return REFUSED
  return isNeutral(status) ? SLOW_CLIENT : FAILED
}

/** That the caller does not want it tried again changes nothing of what it tells of the operation. */
function untried({ status, redirected }: Response): Verdict {
  if (isRefused(status)) return REJECTED_HERE
  if (isNeutral(status)) return ABANDONED
  // RFC 9110, 15.5.2: nobody knows yet who asks.
  if (status === 401) return NOT_APPLIED
  // What it conflicts with may be what an earlier attempt has done, and an API may not know what has become of that.
  if (!redirected && (status === 409 || status === 412)) return NOT_APPLIED
  return status < 500 ? ANSWERED : doubtful(ANSWERED)
}

/** Who was asked first has answered: only the last of the chain refused. */
const afterRedirect = (verdict: Verdict): Verdict =>
  verdict.effect === 'untouched' ? doubtful(verdict) : verdict

const doubtful = (verdict: Verdict): Verdict => ({ ...verdict, effect: 'unknown' })

/** Stripe's, OpenAI's and Anthropic's servers say themselves whether trying again makes sense. */
export const adviceOf = (headers: Headers): string | null =>
  headers.get('x-should-retry') ?? headers.get('stripe-should-retry')

function advised(headers: Headers, verdict: Verdict): Verdict {
  const advice = adviceOf(headers)
  if (advice === 'true') return { ...verdict, next: 'retry' }
  if (advice === 'false') return { ...verdict, next: 'accept' }
  return verdict
}

function verdictOfError(error: unknown, url: URL): Verdict {
  if (isLocalRejection(error) || isRefusedHere(error)) return REJECTED_HERE
  if (provablyNeverLeft(error, url)) return NEVER_LEFT
  // The caller's own abort never gets here; this one came from inside the transport.
  return isAbort(error) || isEndedHere(error) ? ABANDONED : FAILED
}
