import type { Answer, HeaderLine } from './answer.ts'
import { Claim } from './claim.ts'
import { contextOf } from './context.ts'
import { SERVER_DEFAULTS } from './defaults.ts'
import { emit, type RequestInfo } from './events.ts'
import { payloadOf, type Fingerprint } from './fingerprint.ts'
import { Execution } from './execution.ts'
import { credentialsOf, defaultScope, fingerprint, usesBearer, type IdentitySource } from './identity.ts'
import { parseKey } from './key.ts'
import { resolveOptions, type IdempotencyOptions, type Settings } from './options.ts'
import { preferredWaitSeconds } from './prefer.ts'
import { problem, problemStatus, type ProblemCode, type ProblemOptions } from './problem.ts'
import { replay } from './replay.ts'
import { after, caught } from '../primitives/settled.ts'
import type { AcquireResult } from './store.ts'
import { Unprotected } from './unprotected.ts'
import type { FindResponse } from './verdict.ts'
import { WaitingRooms, type Waited, type WhenGone } from './waiting.ts'

export type ReadBody = Uint8Array | 'too-large' | 'unavailable'

/** A request as the engine sees it, whatever framework it came through. */
export interface RequestView<Req> extends IdentitySource {
  /** The framework's own request, for the application's `scope`. */
  readonly source: Req
  /** Reads the raw body, up to `maxBytes`, and leaves it unread for whoever reads it next. */
  body(maxBytes: number): ReadBody | Promise<ReadBody>
  /** Calls back when the client disconnects, at once if it has; returns a function that stops listening. */
  readonly whenGone?: WhenGone
}

/** What follows from a request's method and key alone, before anything is read or awaited. */
export type Screening =
  /** The handler runs unprotected. `ignored`: there was a key all the same, and the response says so. */
  | { readonly type: 'unprotected'; readonly ignored: boolean; readonly context: Unprotected }
  | { readonly type: 'refused'; readonly answer: Answer }
  | { readonly type: 'keyed'; readonly key: string }

export type Admission =
  /** The handler must not run; this is sent instead. */
  | { readonly type: 'answer'; readonly answer: Answer }
  /** The handler has to run, and its end to be reported to the execution. */
  | { readonly type: 'run'; readonly execution: Execution }
  /** The handler has to run unprotected: another `idempotency()` outside holds the key for this very request. */
  | { readonly type: 'covered' }

/** The name of the header that carries the key. */
export const KEY_HEADER = 'idempotency-key'

const STRICT_KEY =
  'Send one Idempotency-Key header with 1 to 255 characters as a quoted string: in double quotes.'

/**
 * The whole layer without a framework: what to do with a request, and what with its response. A framework adapter
 * translates its requests and responses, and decides nothing.
 */
export class Engine<Req> {
  readonly settings: Settings
  readonly #scope: IdempotencyOptions<Req>['scope']
  readonly #fingerprint: Fingerprint<Req>
  readonly #rooms: WaitingRooms
  #scopeDefaulted = false

  /** @throws {HoldfastError} `ERR_INVALID_OPTION` */
  constructor(options: IdempotencyOptions<Req>) {
    this.settings = resolveOptions(options)
    this.#scope = options.scope
    this.#fingerprint = options.fingerprint ?? SERVER_DEFAULTS.fingerprint
    this.#rooms = new WaitingRooms(this.settings)
  }

  /**
   * First step, synchronous: whether the request is protected, and by which key.
   *
   * @param keyLines - the lines of the Idempotency-Key header, one entry each
   */
  screen(method: string, target: string, keyLines: readonly string[]): Screening {
    const { methods, required, syntax, onEvent } = this.settings
    const path = pathOf(target)
    // HTTP/2 takes `patch` as well, and frameworks that look for their routes in lower case run it for a PATCH.
    if (!methods.has(method) && !methods.has(method.toUpperCase())) {
      const ignored = keyLines.length > 0
      if (ignored) emit(onEvent, { type: 'ignored', method, path })
      return { type: 'unprotected', ignored, context: new Unprotected(this.settings) }
    }
    if (keyLines.length === 0) {
      if (required) return { type: 'refused', answer: this.#refuse('key-missing', { method, path }) }
      return { type: 'unprotected', ignored: false, context: new Unprotected(this.settings) }
    }
    const key = parseKey(keyLines, syntax)
    if (key !== undefined) return { type: 'keyed', key }
    const detail = syntax === 'strict' ? STRICT_KEY : undefined
    return { type: 'refused', answer: this.#refuse('key-malformed', { method, path }, { detail }) }
  }

  /**
   * Second step, for a request with a key: claims the key, or finds out what to answer instead.
   *
   * @param findResponse - recognizes a response of the framework's among the values that `transaction(fn)` resolves to
   * @throws what `scope`, `fingerprint` or `request.body` throw
   */
  async admit(request: RequestView<Req>, key: string, findResponse?: FindResponse): Promise<Admission> {
    const info: RequestInfo = { method: request.method, path: pathOf(request.target), key }
    const naming = this.#nameOf(request)
    const named = naming instanceof Promise ? await naming : naming
    const credentials = named === undefined ? credentialsOf(request) : undefined
    const scoping = named ?? defaultScope(credentials)
    const scope = scoping instanceof Promise ? await scoping : scoping
    const context = contextOf(request.source)
    // The key is this request's already, taken by a layer outside: it would wait for itself.
    if (context instanceof Execution && context.covers(this.settings.store, scope, key))
      return { type: 'covered' }
    const body = await request.body(this.settings.maxBodyBytes)
    if (body === 'too-large') return this.#refused('body-too-large', info)
    if (body === 'unavailable') return this.#refused('body-unavailable', info)
    const identified = named !== undefined || credentials !== undefined
    const representing = payloadOf(this.#fingerprint, request, body)
    const payload = representing instanceof Promise ? await representing : representing
    const digesting = fingerprint(request, { scope, key }, identified, payload)
    const digest = digesting instanceof Promise ? await digesting : digesting
    const claim = new Claim(this.settings, info, { scope, key, fingerprint: digest })
    const acquiring = claim.acquire()
    const result = acquiring instanceof Promise ? await acquiring.catch(() => undefined) : acquiring
    const patience = result?.type === 'busy' ? this.#patience(request) : undefined
    if (patience === undefined) return this.#admission(result, claim, findResponse)
    const waited = await this.#wait(claim, patience.ms, request)
    // Without news the key is as busy as it was.
    const now = waited.type === 'told' ? waited.result : waited.type === 'failed' ? undefined : result
    return applied(patience, await this.#admission(now, claim, findResponse))
  }

  /** Answers for what `scope` or `fingerprint` threw, for frameworks in which nobody else would. */
  unidentified(request: RequestView<Req>, key: string, error: unknown): Answer {
    const { method, target } = request
    return this.#refuse('identification-failed', { method, path: pathOf(target), key, error })
  }

  #admission(
    result: AcquireResult | undefined,
    claim: Claim,
    findResponse: FindResponse | undefined,
  ): Admission | Promise<Admission> {
    const { info } = claim
    if (result === undefined) return this.#refused('store-unavailable', info, SERVER_DEFAULTS.retryAfterMs)
    if (result.type !== 'acquired')
      return after(this.#answerTo(result, claim), (answer) => ({ type: 'answer', answer }))
    const { onEvent } = this.settings
    if (onEvent !== undefined) emit(onEvent, { type: 'acquired', ...info, fence: result.fence })
    const onSettled = (response?: Uint8Array): void => this.#rooms.wake(claim.fingerprint, response)
    return {
      type: 'run',
      execution: new Execution(this.settings, claim, result.fence, onSettled, findResponse),
    }
  }

  /** How long a duplicate waits for the first request; `undefined` where it is answered at once. */
  #patience(request: RequestView<Req>): Patience | undefined {
    const { inFlight, leaseMs } = this.settings
    const seconds = preferredWaitSeconds(request.header('prefer'))
    if (seconds === undefined)
      return inFlight === 'wait' ? { ms: leaseMs, preferredSeconds: undefined } : undefined
    const ms = Math.min(seconds * 1000, leaseMs)
    return ms === 0 ? undefined : { ms, preferredSeconds: Math.floor(ms / 1000) }
  }

  async #wait(claim: Claim, waitMs: number, request: RequestView<Req>): Promise<Waited> {
    const { clock, onEvent } = this.settings
    const startedMs = clock.now()
    const waited = await this.#rooms.wait(claim, waitMs, request.whenGone)
    const told = waited.type === 'told' && waited.result.type === 'acquired' ? 'acquired' : 'answered'
    const ending = waited.type === 'told' ? told : waited.type
    emit(onEvent, { type: 'waited', ...claim.info, durationMs: clock.now() - startedMs, ending })
    return waited
  }

  #answerTo(result: Exclude<AcquireResult, { type: 'acquired' }>, claim: Claim): Answer | Promise<Answer> {
    const { info } = claim
    if (result.type === 'done') return this.#replay(result.response, claim)
    if (result.type === 'mismatch') return this.#refuse('key-reused', info)
    if (result.type === 'abandoned') return this.#refuse('outcome-unknown', info)
    if (result.type === 'full') {
      const code = result.limit === 'scope' ? 'too-many-keys' : 'store-unavailable'
      return this.#refuse(code, info, { retryAfterMs: result.retryAfterMs })
    }
    // The lease may have long to go, but the first request has probably not.
    const retryAfterMs = Math.min(result.retryAfterMs, SERVER_DEFAULTS.retryAfterMs)
    return this.#refuse('request-in-flight', info, { retryAfterMs })
  }

  #replay(recorded: Uint8Array, claim: Claim): Answer | Promise<Answer> {
    const failed = (error: unknown): Answer => {
      claim.reportFailure('decode', error)
      return this.#refuse('outcome-unknown', claim.info)
    }
    return caught(() => after(claim.open(recorded), (plain) => this.#replayed(plain, claim)), failed)
  }

  /** @throws {CorruptRecordError} */
  #replayed(plain: Uint8Array, { info }: Claim): Answer {
    const { onEvent, policyUrl } = this.settings
    const { answer, replayable } = replay(plain, policyUrl)
    if (!replayable) return this.#refuse('response-not-replayable', info)
    if (onEvent !== undefined) emit(onEvent, { type: 'replayed', ...info, status: answer.status })
    return answer
  }

  /** What the application calls the client; nothing where it has no name for it. */
  #nameOf(request: RequestView<Req>): string | undefined | Promise<string | undefined> {
    if (this.#scope !== undefined) {
      const scope = this.#scope(request.source)
      return typeof scope === 'object' ? Promise.resolve(scope).then(checkedScope) : checkedScope(scope)
    }
    if (!this.#scopeDefaulted && usesBearer(request)) {
      this.#scopeDefaulted = true
      emit(this.settings.onEvent, { type: 'scope-defaulted' })
    }
    return undefined
  }

  #refused(code: ProblemCode, info: RequestInfo, retryAfterMs?: number): Admission {
    return { type: 'answer', answer: this.#refuse(code, info, { retryAfterMs }) }
  }

  #refuse(
    code: ProblemCode,
    info: Omit<RequestInfo, 'key'> & { key?: string; error?: unknown },
    details: Omit<ProblemOptions, 'policyUrl'> = {},
  ): Answer {
    const { onEvent, policyUrl } = this.settings
    emit(onEvent, { type: 'rejected', ...info, code, status: problemStatus(code) })
    return problem(code, { policyUrl, ...details })
  }
}

interface Patience {
  readonly ms: number
  /** Whole seconds of `Prefer: wait` that are honoured; `undefined` where the client stated no preference. */
  readonly preferredSeconds: number | undefined
}

/** Tells a client that its `Prefer: wait` was honoured (RFC 7240, 3). A run has no answer yet to tell it with. */
function applied({ preferredSeconds }: Patience, admission: Admission): Admission {
  if (admission.type !== 'answer' || preferredSeconds === undefined) return admission
  const { answer } = admission
  const line: HeaderLine = ['preference-applied', `wait=${preferredSeconds}`]
  return { type: 'answer', answer: { ...answer, headers: [...answer.headers, line] } }
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

function checkedScope(scope: unknown): string | undefined {
  if (scope === undefined || (typeof scope === 'string' && scope !== '')) return scope
  const expected = 'the name of the client, a non-empty string, or undefined where it has none'
  throw new TypeError(`idempotency: scope(request) should return ${expected}`)
}
