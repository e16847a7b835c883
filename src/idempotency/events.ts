import type { ProblemCode } from './problem.ts'

/** Which request an event belongs to. Never a query string, a header, a body or a scope: those may hold secrets. */
export interface RequestInfo {
  readonly method: string
  readonly path: string
  readonly key: string
}

interface Acquired extends RequestInfo {
  readonly type: 'acquired'
  readonly fence: number
}
interface Completed extends RequestInfo {
  readonly type: 'completed'
  readonly fence: number
  readonly status: number
  /** From the acquired key to the saved response. */
  readonly durationMs: number
  /** `false` for a stream: duplicates are refused. */
  readonly replayable: boolean
}
interface Released extends RequestInfo {
  readonly type: 'released'
  readonly fence: number
  /** Absent where the handler threw, or its commit failed. */
  readonly status?: number
}
interface Replayed extends RequestInfo {
  readonly type: 'replayed'
  readonly status: number
}
interface WaitEnded extends RequestInfo {
  readonly type: 'waited'
  readonly durationMs: number
  /**
   * `answered`: the store had an answer. `acquired`: the key was given back, and this request runs. `gone`: its client
   * left. `crowded`: `maxWaitersPerKey` were waiting already.
   */
  readonly ending: 'answered' | 'acquired' | 'timed-out' | 'gone' | 'crowded' | 'failed'
}
interface Rejected {
  readonly type: 'rejected'
  readonly method: string
  readonly path: string
  /** Absent where the key itself is the problem. */
  readonly key?: string
  readonly code: ProblemCode
  readonly status: number
  /** For `identification-failed`: what `scope` or `fingerprint` threw. */
  readonly error?: unknown
}
interface Ignored {
  readonly type: 'ignored'
  readonly method: string
  readonly path: string
}
interface LeaseLost extends RequestInfo {
  readonly type: 'lease-lost'
  readonly fence: number
}
interface Stale extends RequestInfo {
  readonly type: 'stale'
  readonly fence: number
  /** Whether a recorded response was there to be sent instead. */
  readonly recorded: boolean
}
interface Unsaved extends RequestInfo {
  readonly type: 'unsaved'
  readonly fence: number
  readonly status: number
}
interface StoreFailed extends RequestInfo {
  readonly type: 'store-error'
  readonly operation: StoreOperation
  readonly error: unknown
}
interface HandlerFailedLate extends RequestInfo {
  readonly type: 'late-error'
  readonly error: unknown
}
interface ScopeDefaulted {
  readonly type: 'scope-defaulted'
}

export type StoreOperation = 'acquire' | 'heartbeat' | 'complete' | 'release' | 'read' | 'begin' | 'decode'

/**
 * Everything the server layer can tell.
 *
 * - `scope-defaulted`: the first Bearer token arrived and there is no `scope` option; tokens rotate, and the client is
 *   then another one.
 * - `late-error`: the handler threw after its response was settled; that was sent.
 */
export type IdempotencyEvent =
  | Acquired
  | Completed
  | Released
  | Replayed
  | WaitEnded
  | Rejected
  | Ignored
  | LeaseLost
  | Stale
  | Unsaved
  | StoreFailed
  | HandlerFailedLate
  | ScopeDefaulted

/** A listener. What it throws is swallowed: watching a request never changes it. */
export type OnIdempotencyEvent = (event: IdempotencyEvent) => void

/** Calls `onEvent` so that neither a throw nor a rejected promise gets out. */
export function emit(onEvent: OnIdempotencyEvent | undefined, event: IdempotencyEvent): void {
  if (onEvent === undefined) return
  try {
    const result: unknown = onEvent(event)
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // Deliberately nothing: a listener is an observer.
  }
}
