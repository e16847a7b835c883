import { after, caught } from '../primitives/settled.ts'
import { Scope } from '../primitives/signal.ts'
import type { Answer, HandlerResponse } from './answer.ts'
import type { Claim } from './claim.ts'
import type { Idempotency } from './context.ts'
import { SERVER_DEFAULTS } from './defaults.ts'
import { downstreamKeyFrom } from './downstream-key.ts'
import { emit } from './events.ts'
import { storableHeaders } from './headers.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Settings } from './options.ts'
import { asStored, problem, type ProblemCode } from './problem.ts'
import { encodeRecord, isSameRecord } from './record.ts'
import { releasesKey } from './release-rule.ts'
import { replay } from './replay.ts'
import type { IdempotencyStore } from './store.ts'
import { TransactionLostError, TransactionRun } from './transaction.ts'
import type { HeldResponse } from './unprotected.ts'
import type { EarlyResponse, FindResponse, Thrown, Verdict } from './verdict.ts'

/** One run of a handler under a key that is its own: from the acquired key to the settled one. */
export class Execution implements Idempotency {
  readonly key: string
  readonly fence: number
  readonly #settings: Settings
  readonly #claim: Claim
  readonly #onEnd: (recorded?: Uint8Array) => void
  readonly #findResponse: FindResponse | undefined
  readonly #startedMs: number
  readonly #scope = new Scope()
  #heartbeat: Heartbeat
  /**
   * `settling`: the store is being told how it ended, and its answer says whether the key was lost. `over`: it has been
   * told, or nobody is going to.
   */
  #phase: 'running' | 'settling' | 'over' = 'running'
  #transaction: TransactionRun | undefined
  #began = false
  #verdict: Verdict | Promise<Verdict> | undefined
  #hold: (() => HeldResponse) | undefined
  #saved: Uint8Array | undefined

  /** @param onEnd - hears that the key is settled, and what was recorded if anything was */
  constructor(
    settings: Settings,
    claim: Claim,
    fence: number,
    onEnd: (recorded?: Uint8Array) => void,
    findResponse?: FindResponse,
  ) {
    this.#settings = settings
    this.#onEnd = onEnd
    this.#claim = claim
    this.#findResponse = findResponse
    this.#startedMs = settings.clock.now()
    this.key = claim.info.key
    this.fence = fence
    this.#heartbeat = this.#startHeartbeat()
  }

  get signal(): AbortSignal {
    return this.#scope.signal
  }

  began(): void {
    this.#began = true
  }

  /** Whether this is the run that a record is of. */
  covers(store: IdempotencyStore, scope: string, key: string): boolean {
    return this.#claim.isFor(store, scope, key)
  }

  /** For frameworks that can't take a response back: what keeps it until the handler's part of a transaction is done. */
  holdWith(hold: () => HeldResponse): void {
    this.#hold = hold
  }

  downstreamKey(name: string): string {
    return downstreamKeyFrom(this.#claim.fingerprint, name)
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as the interface has it
  async transaction<T, Client = unknown>(fn: (client: Client) => T | Promise<T>): Promise<T> {
    if (this.#transaction !== undefined) throw new Error('transaction(fn): a request has one transaction')
    if (this.#verdict !== undefined) throw new Error('transaction(fn): the response is already there')
    // Given up: it would stay open for a response that nobody waits for.
    if (this.#phase === 'over') throw new TransactionLostError()
    const run = new TransactionRun(this.#claim, (cause) => this.#lose(cause))
    this.#transaction = run
    // Until it ends nobody else can take the key over, and a heartbeat would wait for it.
    this.#heartbeat.stop()
    const held = this.#hold?.()
    let early: EarlyResponse | undefined
    const perform = async (client: unknown): Promise<T> => {
      // The type is the caller's word for what its store hands out.
      const value = await fn(client as Client)
      early = await this.#findResponse?.(value)
      return value
    }
    const value = await run.perform(perform).catch((error: unknown) => {
      held?.discard()
      this.#heartbeat = this.#startHeartbeat()
      throw error
    })
    held?.release()
    const verdict = await (early === undefined ? this.#verdict : this.respond(early.response))
    if (verdict !== undefined && verdict.type !== 'own') throw new TransactionLostError()
    // What stands in for the response is of the same kind.
    return early === undefined ? value : (early.value as T)
  }

  /**
   * The handler's response is complete, or known to be a stream. Only the first one counts. `thrown`: it is what the
   * framework's error handler made of a throw.
   */
  respond(response: HandlerResponse, thrown?: Thrown): Verdict | Promise<Verdict> {
    this.#verdict ??=
      thrown === undefined ? this.#settle(response, false) : this.#settleThrow(response, thrown.error)
    return this.#verdict
  }

  /** The handler threw. Resolves to what to send, or to nothing: then the error goes on as if nobody stood between. */
  async fail(error: unknown): Promise<Verdict | undefined> {
    const earlier = await this.failLate(error)
    if (earlier !== undefined) return earlier
    const failure = this.#problem('handler-failed')
    const recorded: Verdict = { type: 'other', answer: asStored(failure) }
    this.#verdict = this.#settleUnanswered(failure, error, recorded)
    const verdict = await this.#verdict
    const goesOn = verdict.type === 'own' || verdict === recorded
    return goesOn && !(error instanceof TransactionLostError) ? undefined : verdict
  }

  /** The handler threw, perhaps after it had responded: then that is told, and resolves to what its response came to. */
  async failLate(error: unknown): Promise<Verdict | undefined> {
    const earlier = await this.#verdict
    if (earlier === undefined || earlier.type === 'void') return undefined
    if (!(error instanceof TransactionLostError))
      emit(this.#settings.onEvent, { type: 'late-error', ...this.#claim.info, error })
    return earlier
  }

  /** Nobody runs the handler: somebody else has answered meanwhile. */
  async cancel(): Promise<void> {
    await this.#free(this.#problem('store-unavailable'))
    this.#settled()
  }

  /** Nobody is going to respond any more: a throw is settled as one, else what can be undone is, or the key is left alone. */
  async abandon(thrown?: Thrown): Promise<void> {
    if (this.#verdict !== undefined) return
    if (thrown !== undefined) await this.fail(thrown.error)
    else if (this.#transaction === undefined) this.#end()
    else await this.fail(new TransactionLostError())
  }

  async #settleThrow(response: HandlerResponse, error: unknown): Promise<Verdict> {
    const verdict = await this.#settle(response, true)
    // What the store could not do is no failure of the handler.
    const isLost = error instanceof TransactionLostError && verdict.type === 'own'
    if (!isLost || verdict.status === 'stored') return verdict
    return this.#lost(verdict.status)
  }

  /** Whatever somebody outside makes of the error, its client is told what is recorded. */
  async #settleUnanswered(failure: Answer, error: unknown, recorded: Verdict): Promise<Verdict> {
    const verdict = await this.#settleThrow(failure, error)
    return verdict.type === 'own' && verdict.status === 'stored' ? recorded : verdict
  }

  #settle(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    if (this.#transaction !== undefined) return this.#settleIn(this.#transaction, response, threw)
    this.#phase = 'settling'
    return after(this.#save(response, threw), (verdict) => {
      this.#settled()
      return verdict
    })
  }

  async #settleIn(run: TransactionRun, response: HandlerResponse, threw: boolean): Promise<Verdict> {
    const early = run.state === 'running'
    await run.ended
    if (early && run.state === 'rolled-back' && !threw) {
      this.#verdict = undefined
      return { type: 'void', error: run.error }
    }
    this.#phase = 'settling'
    try {
      if (run.state === 'open' && !threw) return await this.#commit(run, response)
      await run.rollback()
      return run.state === 'unknown' ? this.#unknown(response) : await this.#save(response, threw)
    } finally {
      this.#settled()
    }
  }

  #settled(): void {
    this.#end()
    this.#onEnd(this.#saved)
  }

  /** Never rejects. */
  #save(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    const isReleasing = this.#releases(response, threw)
    const failed = (): Verdict => {
      if (isReleasing) this.#claim.undo()
      this.#unsaved(response)
      return { type: 'own', status: 'unsaved' }
    }
    return caught(() => (isReleasing ? this.#giveBack(response, threw) : this.#complete(response)), failed)
  }

  #giveBack(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    return after(this.#claim.release(), (result) =>
      result === 'stale' ? this.#stale() : this.#released(response, threw),
    )
  }

  #complete(response: HandlerResponse): Verdict | Promise<Verdict> {
    return after(this.#record(response), (record) =>
      after(this.#claim.complete(record), (result) =>
        result === 'stale' ? this.#stale() : this.#completed(response, record),
      ),
    )
  }

  #releases(response: HandlerResponse, threw: boolean): boolean {
    const rolledBack = this.#transaction?.state === 'rolled-back'
    // What the handler began outside of the transaction has not been undone with it.
    if (rolledBack && !this.#began) return true
    return releasesKey(this.#settings.release, response, { threw, began: this.#began })
  }

  async #commit(run: TransactionRun, response: HandlerResponse): Promise<Verdict> {
    let record: Uint8Array | undefined
    try {
      record = await this.#record(response)
      const result = await run.complete(record)
      return result === 'stale' ? await this.#stale() : this.#completed(response, record)
    } catch {
      // Whoever failed has told it.
    }
    await run.rollback()
    // The answer may have got lost on its way back from a commit that succeeded, or a successor has committed since.
    const recorded = await this.#recorded()
    if (recorded !== undefined)
      return isSameRecord(recorded, record) ? this.#completed(response, recorded) : this.#stale()
    if (run.state === 'unknown') return this.#unknown(response)
    // What the handler began outside of the transaction has not been undone with it, and must not be done again.
    if (this.#began) return this.#saveFailure()
    // The client is told to send it again, so the key has to be free however the store answers now.
    return this.#free(response)
  }

  async #free(response: HandlerResponse): Promise<Verdict> {
    try {
      // The commit has succeeded after all, or a successor has the key.
      if ((await this.#claim.release()) === 'stale') return await this.#stale()
      this.#released(response, true)
    } catch {
      this.#claim.undo()
      this.#unsaved(response)
    }
    return this.#lost()
  }

  /** As after a throw: what the handler has responded with did not happen. */
  async #saveFailure(): Promise<Verdict> {
    const failure = this.#problem('handler-failed')
    const verdict = await this.#save(failure, true)
    if (verdict.type !== 'own') return verdict
    if (verdict.status !== 'stored') return this.#lost(verdict.status)
    // Where the commit has succeeded after all, that is on record, and a store keeps what it has.
    const recorded = await this.#recorded()
    if (recorded !== undefined && isSameRecord(recorded, this.#saved))
      return { type: 'other', answer: asStored(failure) }
    return { type: 'other', answer: await this.#answerOf(recorded) }
  }

  /** The client may send it again, unless the handler has begun something outside of the transaction, and nobody could be told. */
  #lost(status?: 'unsaved'): Verdict {
    if (status === 'unsaved' && this.#began)
      return { type: 'other', answer: this.#problem('outcome-unknown') }
    return { type: 'other', answer: this.#problem('store-unavailable', SERVER_DEFAULTS.retryAfterMs) }
  }

  /** @throws where it can't be made or encrypted, which is told as what can't be saved */
  #record(response: HandlerResponse): Uint8Array | Promise<Uint8Array> {
    const headers = storableHeaders(response.headers, this.#settings.deny)
    return caught(
      () => this.#claim.seal(encodeRecord({ ...response, headers })),
      (error) => {
        this.#claim.failed('complete', error)
        throw error
      },
    )
  }

  async #recorded(): Promise<Uint8Array | undefined> {
    try {
      return await this.#claim.read()
    } catch {
      return undefined
    }
  }

  #completed({ status, body }: HandlerResponse, record: Uint8Array): Verdict {
    this.#saved = record
    const { clock, onEvent } = this.#settings
    if (onEvent !== undefined) {
      const durationMs = clock.now() - this.#startedMs
      const replayable = body !== undefined
      const { info } = this.#claim
      emit(onEvent, { type: 'completed', ...info, fence: this.fence, status, durationMs, replayable })
    }
    return { type: 'own', status: status >= 500 ? 'stored' : undefined }
  }

  #released({ status }: HandlerResponse, threw: boolean): Verdict {
    const result = threw ? {} : { status }
    emit(this.#settings.onEvent, { type: 'released', ...this.#claim.info, fence: this.fence, ...result })
    return { type: 'own', status: undefined }
  }

  #unsaved({ status }: HandlerResponse): void {
    emit(this.#settings.onEvent, { type: 'unsaved', ...this.#claim.info, fence: this.fence, status })
  }

  /** Neither done nor undone as far as anybody can tell: the key stays with its owner until the lease runs out. */
  #unknown(response: HandlerResponse): Verdict {
    this.#unsaved(response)
    return { type: 'other', answer: this.#problem('outcome-unknown') }
  }

  /** Somebody else's run counts, so its response is the one to be told. */
  async #stale(): Promise<Verdict> {
    const recorded = await this.#recorded()
    const { onEvent } = this.#settings
    emit(onEvent, { type: 'stale', ...this.#claim.info, fence: this.fence, recorded: recorded !== undefined })
    return { type: 'other', answer: await this.#answerOf(recorded) }
  }

  async #answerOf(recorded: Uint8Array | undefined): Promise<Answer> {
    if (recorded === undefined) return this.#problem('outcome-unknown')
    try {
      return replay(await this.#claim.open(recorded), this.#settings.policyUrl).answer
    } catch (error) {
      this.#claim.failed('decode', error)
      return this.#problem('outcome-unknown')
    }
  }

  #problem(code: ProblemCode, retryAfterMs?: number): Answer {
    return problem(code, { policyUrl: this.#settings.policyUrl, retryAfterMs })
  }

  #startHeartbeat(): Heartbeat {
    const { clock, leaseMs, abandoned } = this.#settings
    return new Heartbeat({
      clock,
      leaseMs,
      lostWhenOver: abandoned === 'takeover',
      extend: () => this.#claim.heartbeat(),
      onError: (error) => this.#claim.failed('heartbeat', error),
      onLost: () => this.#lose(),
    })
  }

  #end(): void {
    this.#phase = 'over'
    this.#heartbeat.stop()
  }

  /** What the handler does no longer counts. */
  #lose(cause?: unknown): void {
    if (this.#scope.aborted || this.#phase !== 'running') return
    emit(this.#settings.onEvent, { type: 'lease-lost', ...this.#claim.info, fence: this.fence })
    this.#scope.abort(new TransactionLostError(cause === undefined ? {} : { cause }), 'timeout')
  }
}
