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
import type { HeldResponse } from './held-response.ts'
import type { EarlyResponse, FindResponse, Thrown, Verdict } from './verdict.ts'

/** One run of a handler under a key that it owns: from the acquired key to the settled one. */
export class Execution implements Idempotency {
  readonly key: string
  readonly fence: number
  readonly #settings: Settings
  readonly #claim: Claim
  readonly #onSettled: (recorded?: Uint8Array) => void
  readonly #findResponse: FindResponse | undefined
  readonly #startedMs: number
  readonly #scope = new Scope()
  #heartbeat: Heartbeat
  /**
   * `settling`: the outcome is on its way to the store, whose answer also says whether the key was lost. `over`: the
   * store has it, or the run was given up.
   */
  #phase: 'running' | 'settling' | 'over' = 'running'
  #transaction: TransactionRun | undefined
  #began = false
  #verdict: Verdict | Promise<Verdict> | undefined
  #hold: (() => HeldResponse) | undefined
  #savedRecord: Uint8Array | undefined

  /** @param onSettled - hears that the key is settled, and what was recorded if anything was */
  constructor(
    settings: Settings,
    claim: Claim,
    fence: number,
    onSettled: (recorded?: Uint8Array) => void,
    findResponse?: FindResponse,
  ) {
    this.#settings = settings
    this.#onSettled = onSettled
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

  /** Whether this run owns that record. */
  covers(store: IdempotencyStore, scope: string, key: string): boolean {
    return this.#claim.isFor(store, scope, key)
  }

  /** For frameworks that can't take a sent response back: `hold` keeps it back until `fn` of a transaction has ended. */
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
    // The run was given up: the transaction would stay open for a response that nobody waits for.
    if (this.#phase === 'over') throw new TransactionLostError()
    const run = new TransactionRun(this.#claim, (cause) => this.#abort(cause))
    this.#transaction = run
    // An open transaction locks the key: nobody can take it over, and a heartbeat would wait for that lock.
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

  /** The handler threw. Resolves to what to send, or to nothing: then the framework handles the error as it always does. */
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

  /** For a throw that may come after the response: then emits `late-error`, and resolves to that response's verdict. */
  async failLate(error: unknown): Promise<Verdict | undefined> {
    const earlier = await this.#verdict
    if (earlier === undefined || earlier.type === 'void') return undefined
    if (!(error instanceof TransactionLostError))
      emit(this.#settings.onEvent, { type: 'late-error', ...this.#claim.info, error })
    return earlier
  }

  /** The handler will not run: middleware outside (a timeout) has answered meanwhile. */
  async cancel(): Promise<void> {
    await this.#releaseForRetry(this.#problem('store-unavailable'))
    this.#finish()
  }

  /**
   * No response will come any more. A throw is settled as one, an open transaction is rolled back; otherwise the key is
   * left to its lease, since nobody knows what the handler has done.
   */
  async abandon(thrown?: Thrown): Promise<void> {
    if (this.#verdict !== undefined) return
    if (thrown !== undefined) await this.fail(thrown.error)
    else if (this.#transaction === undefined) this.#stop()
    else await this.fail(new TransactionLostError())
  }

  async #settleThrow(response: HandlerResponse, error: unknown): Promise<Verdict> {
    const verdict = await this.#settle(response, true)
    // A transaction that the store lost is no failure of the handler, and is not answered as one.
    const isLost = error instanceof TransactionLostError && verdict.type === 'own'
    if (!isLost || verdict.status === 'stored') return verdict
    return this.#notDone(verdict.status)
  }

  /** For a throw without a response: the client gets what is recorded, not what an error handler outside makes of it. */
  async #settleUnanswered(failure: Answer, error: unknown, recorded: Verdict): Promise<Verdict> {
    const verdict = await this.#settleThrow(failure, error)
    return verdict.type === 'own' && verdict.status === 'stored' ? recorded : verdict
  }

  #settle(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    if (this.#transaction !== undefined) return this.#settleInTransaction(this.#transaction, response, threw)
    this.#phase = 'settling'
    return after(this.#saveOrRelease(response, threw), (verdict) => {
      this.#finish()
      return verdict
    })
  }

  async #settleInTransaction(
    run: TransactionRun,
    response: HandlerResponse,
    threw: boolean,
  ): Promise<Verdict> {
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
      return run.state === 'unknown'
        ? this.#outcomeUnknown(response)
        : await this.#saveOrRelease(response, threw)
    } finally {
      this.#finish()
    }
  }

  #finish(): void {
    this.#stop()
    this.#onSettled(this.#savedRecord)
  }

  /** Never rejects: a store that fails makes the response `unsaved`. */
  #saveOrRelease(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    const isReleasing = this.#shouldRelease(response, threw)
    const failed = (): Verdict => {
      if (isReleasing) this.#claim.releaseInBackground()
      this.#emitUnsaved(response)
      return { type: 'own', status: 'unsaved' }
    }
    return caught(() => (isReleasing ? this.#release(response, threw) : this.#complete(response)), failed)
  }

  #release(response: HandlerResponse, threw: boolean): Verdict | Promise<Verdict> {
    return after(this.#claim.release(), (result) =>
      result === 'stale' ? this.#superseded() : this.#afterRelease(response, threw),
    )
  }

  #complete(response: HandlerResponse): Verdict | Promise<Verdict> {
    return after(this.#encode(response), (record) =>
      after(this.#claim.complete(record), (result) =>
        result === 'stale' ? this.#superseded() : this.#afterComplete(response, record),
      ),
    )
  }

  #shouldRelease(response: HandlerResponse, threw: boolean): boolean {
    const rolledBack = this.#transaction?.state === 'rolled-back'
    // After `began()` there are effects outside of the transaction, which its rollback has not undone.
    if (rolledBack && !this.#began) return true
    return releasesKey(this.#settings.release, response, { threw, began: this.#began })
  }

  async #commit(run: TransactionRun, response: HandlerResponse): Promise<Verdict> {
    let record: Uint8Array | undefined
    try {
      record = await this.#encode(response)
      const result = await run.complete(record)
      return result === 'stale' ? await this.#superseded() : this.#afterComplete(response, record)
    } catch {
      // Reported where it failed.
    }
    await run.rollback()
    // The commit may have succeeded and its answer got lost, or a successor has committed since.
    const recorded = await this.#readRecord()
    if (recorded !== undefined)
      return isSameRecord(recorded, record) ? this.#afterComplete(response, recorded) : this.#superseded()
    if (run.state === 'unknown') return this.#outcomeUnknown(response)
    // After `began()` there are effects outside of the transaction, which must not happen again.
    if (this.#began) return this.#saveFailure()
    // The client is told to send the request again, so the key must become free, now or in the background.
    return this.#releaseForRetry(response)
  }

  async #releaseForRetry(response: HandlerResponse): Promise<Verdict> {
    try {
      // The commit has succeeded after all, or a successor has the key.
      if ((await this.#claim.release()) === 'stale') return await this.#superseded()
      this.#afterRelease(response, true)
    } catch {
      this.#claim.releaseInBackground()
      this.#emitUnsaved(response)
    }
    return this.#notDone()
  }

  /** Saves a 500 in place of the handler's response, which tells of a transaction that was not committed. */
  async #saveFailure(): Promise<Verdict> {
    const failure = this.#problem('handler-failed')
    const verdict = await this.#saveOrRelease(failure, true)
    if (verdict.type !== 'own') return verdict
    if (verdict.status !== 'stored') return this.#notDone(verdict.status)
    // Where the commit has succeeded after all, its record stands: a store never overwrites one.
    const recorded = await this.#readRecord()
    if (recorded !== undefined && isSameRecord(recorded, this.#savedRecord))
      return { type: 'other', answer: asStored(failure) }
    return { type: 'other', answer: await this.#answerOf(recorded) }
  }

  /** 503, send it again; but 409 where the handler called `began()` and the store could not save that. */
  #notDone(status?: 'unsaved'): Verdict {
    if (status === 'unsaved' && this.#began)
      return { type: 'other', answer: this.#problem('outcome-unknown') }
    return { type: 'other', answer: this.#problem('store-unavailable', SERVER_DEFAULTS.retryAfterMs) }
  }

  /** @throws where the record can't be made or encrypted; reported as a failure to complete */
  #encode(response: HandlerResponse): Uint8Array | Promise<Uint8Array> {
    const headers = storableHeaders(response.headers, this.#settings.deny)
    return caught(
      () => this.#claim.seal(encodeRecord({ ...response, headers })),
      (error) => {
        this.#claim.reportFailure('complete', error)
        throw error
      },
    )
  }

  async #readRecord(): Promise<Uint8Array | undefined> {
    try {
      return await this.#claim.read()
    } catch {
      return undefined
    }
  }

  #afterComplete({ status, body }: HandlerResponse, record: Uint8Array): Verdict {
    this.#savedRecord = record
    const { clock, onEvent } = this.#settings
    if (onEvent !== undefined) {
      const durationMs = clock.now() - this.#startedMs
      const replayable = body !== undefined
      const { info } = this.#claim
      emit(onEvent, { type: 'completed', ...info, fence: this.fence, status, durationMs, replayable })
    }
    return { type: 'own', status: status >= 500 ? 'stored' : undefined }
  }

  #afterRelease({ status }: HandlerResponse, threw: boolean): Verdict {
    const result = threw ? {} : { status }
    emit(this.#settings.onEvent, { type: 'released', ...this.#claim.info, fence: this.fence, ...result })
    return { type: 'own', status: undefined }
  }

  #emitUnsaved({ status }: HandlerResponse): void {
    emit(this.#settings.onEvent, { type: 'unsaved', ...this.#claim.info, fence: this.fence, status })
  }

  /** Nobody knows whether the transaction was committed: the key stays with this owner until the lease runs out. */
  #outcomeUnknown(response: HandlerResponse): Verdict {
    this.#emitUnsaved(response)
    return { type: 'other', answer: this.#problem('outcome-unknown') }
  }

  /** The key was taken over: the successor's run counts, so its response is the one to send. */
  async #superseded(): Promise<Verdict> {
    const recorded = await this.#readRecord()
    const { onEvent } = this.#settings
    emit(onEvent, { type: 'stale', ...this.#claim.info, fence: this.fence, recorded: recorded !== undefined })
    return { type: 'other', answer: await this.#answerOf(recorded) }
  }

  async #answerOf(recorded: Uint8Array | undefined): Promise<Answer> {
    if (recorded === undefined) return this.#problem('outcome-unknown')
    try {
      return replay(await this.#claim.open(recorded), this.#settings.policyUrl).answer
    } catch (error) {
      this.#claim.reportFailure('decode', error)
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
      onError: (error) => this.#claim.reportFailure('heartbeat', error),
      onLost: () => this.#abort(),
    })
  }

  #stop(): void {
    this.#phase = 'over'
    this.#heartbeat.stop()
  }

  /** The key or its transaction is lost: tells the handler, through its signal, that its work no longer counts. */
  #abort(cause?: unknown): void {
    if (this.#scope.aborted || this.#phase !== 'running') return
    emit(this.#settings.onEvent, { type: 'lease-lost', ...this.#claim.info, fence: this.fence })
    this.#scope.abort(new TransactionLostError(cause === undefined ? {} : { cause }), 'timeout')
  }
}
