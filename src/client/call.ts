import { isHoldfastError } from '../errors.ts'
import type { CallInfo, EventResult } from '../events.ts'
import type { RequestBody } from '../http/body.ts'
import { isIdempotent, isSafe } from '../http/methods.ts'
import type { CacheableCall } from '../http/response-cache.ts'
import { verdictOf, type Verdict } from '../http/verdict.ts'
import type { Context, OnEvent, Outcome, Standing } from '../policy.ts'
import type { Scope } from '../signal.ts'
import type { AttemptResult, Observer, RequestInfoOf } from './options.ts'
import type { FetchOutcome } from './outcome.ts'
import type { CallerRequest } from './request.ts'
import type { Settings } from './settings/settings.ts'

/** Who watches a call. */
export interface Watch {
  readonly onEvent: OnEvent | undefined
  readonly onAttempt: Observer['onAttempt']
}

interface CallFields {
  readonly id: number
  readonly settings: Settings
  readonly watch: Watch
  readonly caller: CallerRequest
  readonly circuitKey: string
  readonly hedgeKey: string
  readonly key: string | undefined
  readonly body: BodySource
  readonly startedMs: number
  readonly startedWallMs: number
}

/**
 * Gives the body to send, or `undefined` where there is none of its own to send: then the caller's is left where it is.
 * A `Request`'s body and a form take time to read.
 */
export type BodySource = () => RequestBody | undefined | Promise<RequestBody | undefined>

/** One logical call: what its attempts share. */
export class FetchCall implements CacheableCall {
  readonly id: number
  readonly settings: Settings
  readonly watch: Watch
  readonly caller: CallerRequest
  readonly circuitKey: string
  /** What shares latencies for hedges. */
  readonly hedgeKey: string
  /** The idempotency key. */
  readonly key: string | undefined
  readonly bodySource: BodySource
  readonly startedMs: number
  readonly startedWallMs: number
  /** The body of the attempts so far, once the first has read it. */
  body: RequestBody | undefined
  /** Headers of ours that every attempt carries besides the key: a cache's validators. */
  extraHeaders: Readonly<Record<string, string>> | undefined
  /** The headers of the attempt that was answered last, else of the newest one. */
  sentHeaders: RequestInit['headers']
  attempts = 0
  /** How many attempts the transport is working on: two, while one is hedged. */
  underWay = 0
  /** Whether it was told that the request is sent again. */
  isResent = false
  delaysMs: readonly number[] = []
  /** A body that is resumed is watched part by part. */
  isBodyWatched = false
  source: 'network' | 'cache' | 'fallback' = 'network'
  /** Attempts at a write that are on their way, or ended without a definite answer. */
  readonly #unanswered = new Set<Context>()
  /** The scopes of the attempts that were answered, in this order. */
  readonly #answers = new Map<Response, Scope>()
  /** An error made on this side, by a hook or a request that cannot be built: no news of the service. */
  #localError: { readonly error: unknown } | undefined

  constructor(fields: CallFields) {
    this.id = fields.id
    this.settings = fields.settings
    this.watch = fields.watch
    this.caller = fields.caller
    this.circuitKey = fields.circuitKey
    this.hedgeKey = fields.hedgeKey
    this.key = fields.key
    this.bodySource = fields.body
    this.startedMs = fields.startedMs
    this.startedWallMs = fields.startedWallMs
  }

  get method(): string {
    return this.caller.method
  }

  get request(): RequestInfoOf {
    return { method: this.method, url: this.caller.url.href }
  }

  get info(): CallInfo {
    const { origin, pathname } = this.caller.url
    return { id: this.id, method: this.method, url: origin + pathname }
  }

  get keyed(): boolean {
    return this.key !== undefined
  }

  /** Whether sending it twice means the same as once. */
  get repeatable(): boolean {
    return this.keyed || isIdempotent(this.method)
  }

  get changesState(): boolean {
    return !isSafe(this.method)
  }

  /** Whether bytes may have left without a definite answer. */
  get uncertain(): boolean {
    return this.#unanswered.size > 0
  }

  /** An attempt is handed to the transport: until an answer nobody knows what becomes of a write. */
  sent(attempt: Context): void {
    if (this.changesState) this.#unanswered.add(attempt)
  }

  /** What the end of an attempt tells of the operation. A definite answer settles it, whoever else is on the way. */
  learned(attempt: Context, effect: Verdict['effect']): void {
    if (effect === 'answered') this.#unanswered.clear()
    else if (effect === 'untouched') this.#unanswered.delete(attempt)
    else this.sent(attempt)
  }

  answered(response: Response, scope: Scope): void {
    this.#answers.set(response, scope)
  }

  /**
   * The scope of the attempt that a response came from, or of the newest one where a policy has made another response
   * of it: its abort still ends the body.
   */
  scopeOf(response: Response): Scope | undefined {
    return this.#answers.get(response) ?? [...this.#answers.values()].at(-1)
  }

  get outcome(): FetchOutcome {
    return {
      attempts: this.attempts,
      source: this.source,
      uncertain: this.uncertain,
      idempotencyKey: this.key,
      circuit: this.circuitKey,
      delaysMs: this.delaysMs,
    }
  }

  verdictOf(outcome: Outcome<Response>): Verdict {
    return verdictOf(outcome, {
      keyed: this.keyed,
      isRacing: this.underWay > 0,
      isTransient: this.settings.isTransient,
      url: this.caller.url,
    })
  }

  /** Marks an error as made here, and gives it back. */
  local(error: unknown): unknown {
    this.#localError = { error }
    return error
  }

  isLocal(outcome: Outcome): boolean {
    return !outcome.ok && this.#localError !== undefined && this.#localError.error === outcome.error
  }

  /** Whether nothing better will come of the call: a stored or substitute response may take its place. */
  hasFailed(outcome: Outcome<Response>): boolean {
    // An expired key is an error of this side too, but one that came of time, not of the caller's code.
    if (!outcome.ok) return !this.isLocal(outcome) || isHoldfastError(outcome.error)
    const { next, health } = this.verdictOf(outcome)
    return next === 'retry' || health === 'failure'
  }

  /** For policies that know nothing of HTTP. A 429 is no failure of the service's, but it has not served either. */
  standingOf(outcome: Outcome<Response>): Standing {
    if (this.isLocal(outcome)) return 'nothing'
    const { next, health, effect } = this.verdictOf(outcome)
    if (next === 'retry' || health === 'failure' || effect === 'untouched') return 'failed'
    return outcome.ok ? 'served' : 'nothing'
  }

  /** How long the server is sure to remember the key, by whichever clock has moved more; `Infinity` without a key. */
  keyLeftMs(nowMs: number, wallNowMs: number): number {
    const { idempotency } = this.settings
    if (!this.keyed || idempotency === undefined) return Infinity
    return idempotency.windowMs - Math.max(nowMs - this.startedMs, wallNowMs - this.startedWallMs)
  }
}

export const callOf = (context: Context): FetchCall => context.execution.data as FetchCall

export function resultFields(outcome: Outcome<Response>): AttemptResult {
  return outcome.ok ? { response: outcome.value } : { error: outcome.error }
}

export function eventResult(outcome: Outcome<Response>): EventResult {
  return outcome.ok ? { status: outcome.value.status } : { error: outcome.error }
}
