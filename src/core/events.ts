/** Which call an event belongs to. Never a query string, a header or a body: those may hold secrets. */
export interface CallInfo {
  /** Unique within the process. */
  readonly id: number
  readonly method: string
  /** Origin and path. */
  readonly url: string
}

export type GiveUpReason = 'exhausted' | 'deadline' | 'retry-after' | 'budget' | 'body' | 'final'

/** Which rule opened a circuit; 'probe': too many test requests failed or were slow. */
export type CircuitOpenCause =
  | 'failure-rate'
  | 'slow-calls'
  | 'consecutive'
  | 'probe'
  | 'isolated'
  | 'restored'

/** How an attempt or a call ended, as far as an event tells it. */
export interface EventResult {
  /** The response's status, where there was one. */
  readonly status?: number
  readonly error?: unknown
}

interface AttemptStart {
  readonly type: 'attempt-start'
  readonly attempt: number
  /** The second of two attempts that run side by side: both have the same number. */
  readonly hedge?: true
}
interface AttemptEnd extends EventResult {
  readonly type: 'attempt-end'
  readonly attempt: number
  /** As at its start. */
  readonly hedge?: true
  readonly durationMs: number
  /** The response is a replay: an earlier attempt had reached the API, which recognized the idempotency key. */
  readonly replayed?: true
}
interface Retry extends EventResult {
  readonly type: 'retry'
  /** The attempt that failed. */
  readonly attempt: number
  readonly delayMs: number
}
interface GiveUp extends EventResult {
  readonly type: 'give-up'
  readonly attempt: number
  readonly reason: GiveUpReason
}
interface Timeout {
  readonly type: 'timeout'
  readonly kind: 'attempt' | 'total' | 'body-idle'
  readonly timeoutMs: number
}
interface CircuitOpen {
  readonly type: 'circuit-open'
  readonly key: string
  /** Until the next test request; the same value that rejections carry. */
  readonly retryAfterMs: number
  readonly isolated: boolean
  readonly cause: CircuitOpenCause
}
interface CircuitHalfOpen {
  readonly type: 'circuit-half-open'
  readonly key: string
}
interface CircuitClose {
  readonly type: 'circuit-close'
  readonly key: string
}
interface Hedge {
  readonly type: 'hedge'
  readonly attempt: number
  /** How long the attempt had been waited for when another one was sent beside it. */
  readonly delayMs: number
}
export interface CacheHit {
  readonly type: 'cache-hit'
  /** Within its lifetime; confirmed by the origin just now; or past it, since the origin does not answer. */
  readonly kind: 'fresh' | 'revalidated' | 'stale'
  readonly ageMs: number
}
interface Coalesced {
  readonly type: 'coalesced'
}
interface Pace {
  readonly type: 'pace'
  readonly key: string
  readonly delayMs: number
}
interface Fallback {
  readonly type: 'fallback'
  readonly reason: FallbackReason
}
interface CallStart {
  readonly type: 'call-start'
}
interface BodyNotReplayable {
  readonly type: 'body-not-replayable'
  readonly reason: 'stream' | 'too-large'
}
interface Resume {
  readonly type: 'resume'
  /** Whose response the body goes on with. */
  readonly attempt: number
  /** How much of the body had been read when it broke. */
  readonly offsetBytes: number
}
interface UnconfirmedIdempotency {
  readonly type: 'unconfirmed-idempotency'
  readonly origin: string
}
interface CallEnd extends EventResult {
  readonly type: 'call-end'
  readonly attempts: number
  readonly durationMs: number
  readonly source: 'network' | 'cache' | 'fallback'
  readonly uncertain: boolean
}

export type FallbackReason =
  | 'circuit-open'
  | 'exhausted'
  | 'timeout'
  | 'bulkhead'
  | 'throttled'
  | 'rate-limited'

/** Everything a policy or a client can tell. `call` is set on what happens inside a `createFetch` call. */
export type HoldfastEvent = (
  | CallStart
  | AttemptStart
  | AttemptEnd
  | Retry
  | GiveUp
  | Timeout
  | CircuitOpen
  | CircuitHalfOpen
  | CircuitClose
  | Hedge
  | CacheHit
  | Coalesced
  | Pace
  | Fallback
  | BodyNotReplayable
  | Resume
  | UnconfirmedIdempotency
  | CallEnd
) & { readonly call?: CallInfo }
