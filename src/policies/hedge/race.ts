import type { Clock, Timer } from '../../primitives/clock.ts'
import { begin, failed, type Receiver, type Start } from '../../core/direct.ts'
import { emit } from '../../core/emit.ts'
import { isLocalRejection } from '../../primitives/errors.ts'
import { Context, type OnEvent, type Outcome } from '../../core/policy.ts'
import { Scope, type AbortListener } from '../../primitives/signal.ts'
import type { HedgeStats } from './stats.ts'

/** What a race goes by. */
export interface RaceRules<Value> {
  readonly clock: Clock
  /** Whether an outcome ends the race; otherwise the other attempt is waited for. Default: what is no throw. */
  readonly isGood?: ((outcome: Outcome<Value>, context: Context) => boolean) | undefined
  /** Called with a result that nobody gets, to free what it holds. */
  readonly discard?: ((value: Value) => void) | undefined
  readonly onEvent?: OnEvent | undefined
  /** Asked when the delay is over, since it may only then be known. */
  readonly isReady?: (context: Context) => boolean
  /** Told before the second attempt is sent. */
  readonly onHedge?: (context: Context) => void
}

/** One of the two attempts. */
class Runner<T> implements Receiver<T> {
  readonly context: Context
  outcome: Outcome<T> | undefined
  readonly #ended: (runner: Runner<T>, outcome: Outcome<T>) => void

  constructor(context: Context, ended: (runner: Runner<T>, outcome: Outcome<T>) => void) {
    this.context = context
    this.#ended = ended
  }

  end(outcome: Outcome<T>): void {
    this.#ended(this, outcome)
  }
}

/** An attempt, and maybe a second one beside it. */
export class Race<Value, T extends Value> implements AbortListener {
  readonly #rules: RaceRules<Value>
  readonly #stats: HedgeStats
  readonly #start: Start<T>
  readonly #context: Context
  readonly #receiver: Receiver<T>
  readonly #startedMs: number
  readonly #parkings: number | undefined
  readonly #delayMs: number
  readonly #first: Runner<T>
  #second: Runner<T> | undefined
  #timer: Timer | undefined
  #isOver = false

  constructor(
    rules: RaceRules<Value>,
    stats: HedgeStats,
    start: Start<T>,
    context: Context,
    receiver: Receiver<T>,
  ) {
    this.#rules = rules
    this.#stats = stats
    this.#start = start
    this.#context = context
    this.#receiver = receiver
    this.#startedMs = rules.clock.now()
    this.#parkings = context.execution.parkings
    this.#delayMs = stats.delayMs
    // Before the attempt's own scope: an abort from outside has ended the race when it gets there.
    context.scope.add(this)
    this.#first = this.#runner(context.within(new Scope(context.scope), context.deadline))
  }

  run(): void {
    if (this.#startedMs + this.#delayMs < this.#context.deadline) {
      this.#timer = this.#rules.clock.schedule(() => this.#sendSecond(), this.#delayMs)
    }
    this.#begin(this.#first)
  }

  /** The caller's abort or a timeout outside. It would reach both attempts by itself, but they end before the race does. */
  onAbort(scope: Scope): void {
    this.#close()
    for (const runner of [this.#first, this.#second]) {
      if (runner === undefined) continue
      // One may have ended, not well enough, while the other was waited for.
      this.#free(runner)
      runner.context.scope.onAbort(scope)
    }
    this.#receiver.end(failed(scope.reason))
  }

  #runner(context: Context): Runner<T> {
    return new Runner(context, (runner, outcome) => {
      try {
        this.#ended(runner, outcome)
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  #begin(runner: Runner<T>): void {
    begin(this.#start, runner.context, runner)
  }

  #sendSecond(): void {
    try {
      if (!this.#mayHedge() || !this.#pay()) return
      const context = besides(this.#context)
      emit(this.#rules.onEvent, { type: 'hedge', attempt: context.attempt, delayMs: this.#delayMs }, context)
      // A listener may have aborted just now.
      if (!this.#isOver) this.#rules.onHedge?.(context)
      if (this.#isOver) return this.#refund()
      this.#second = this.#runner(context)
      this.#begin(this.#second)
    } catch (error) {
      this.#fail(error)
    }
  }

  #mayHedge(): boolean {
    const { clock, isReady } = this.#rules
    return clock.now() < this.#context.deadline && isReady?.(this.#context) !== false
  }

  #pay(): boolean {
    if (!this.#stats.tryTake()) return false
    if (this.#context.budget?.tryTake() !== false) return true
    this.#stats.giveBack()
    return false
  }

  #ended(runner: Runner<T>, outcome: Outcome<T>): void {
    if (this.#isOver) {
      if (outcome.ok) this.#rules.discard?.(outcome.value)
      return
    }
    runner.outcome = outcome
    if (this.#isGood(outcome, runner.context)) return this.#won(runner, outcome)
    if (runner === this.#second && isRefusal(outcome)) this.#refund()
    const firsts = this.#first.outcome
    if (firsts === undefined) return
    if (this.#second === undefined) return this.#finish(runner, outcome)
    if (this.#second.outcome === undefined) return
    // The newest failure is given, but the second attempt's only if it was one: refused here, it tells nothing.
    if (isRefusal(outcome)) this.#finish(this.#first, firsts)
    else this.#finish(runner, outcome)
  }

  #isGood(outcome: Outcome<T>, context: Context): boolean {
    return this.#rules.isGood?.(outcome, context) ?? outcome.ok
  }

  #won(runner: Runner<T>, outcome: Outcome<T>): void {
    this.#takeSample(runner)
    this.#stats.succeeded()
    if (this.#second !== undefined && !isRefusal(this.#second.outcome)) this.#context.budget?.giveBack()
    this.#finish(runner, outcome)
  }

  /**
   * One sample an execution: how long the first attempt took, which is what the delay is compared with. Where the second
   * one wins, the first is known to take longer than the delay, and counts as exactly that. Left out, the slow ones
   * would be missing and the delay would sink with every hedge; a quantile only asks how many lie above it. Counted as
   * long as it ran, a replica that hangs would push the delay up, a bit with every hedge. What the second one took is no
   * sample: only the quick ones are ever seen to their end. Nor is what has waited at an open circuit.
   */
  #takeSample(winner: Runner<T>): void {
    if (this.#context.execution.parkings !== this.#parkings) return
    if (winner === this.#first) this.#stats.sample(this.#rules.clock.now() - this.#startedMs)
    else if (this.#first.outcome === undefined) this.#stats.sample(this.#delayMs)
  }

  #refund(): void {
    this.#stats.giveBack()
    this.#context.budget?.giveBack()
  }

  /** A rule or a hook has thrown: that is surfaced, as by other policies. */
  #fail(error: unknown): void {
    if (!this.#isOver) this.#finish(undefined, failed(error))
  }

  #finish(chosen: Runner<T> | undefined, outcome: Outcome<T>): void {
    this.#close()
    for (const runner of [this.#first, this.#second]) {
      if (runner !== undefined && runner !== chosen) this.#dismiss(runner)
    }
    this.#receiver.end(outcome)
  }

  #dismiss(runner: Runner<T>): void {
    const { scope } = runner.context
    this.#free(runner)
    scope.abort(lostRace(), 'race')
    this.#context.scope.remove(scope)
  }

  #free({ outcome }: Runner<T>): void {
    try {
      if (outcome?.ok === true) this.#rules.discard?.(outcome.value)
    } catch {
      // The race is over, and whoever lost it must still hear of that.
    }
  }

  #close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#context.scope.remove(this)
  }
}

/** For a second attempt: the same, with an end of its own. */
const besides = ({ execution, scope, deadline, budget, attempt }: Context): Context =>
  new Context(execution, new Scope(scope), deadline, budget, attempt, true)

const isRefusal = (outcome: Outcome | undefined): boolean =>
  outcome?.ok === false && isLocalRejection(outcome.error)

/** Named as the platform names an abort: nothing has failed. */
function lostRace(): Error {
  return Object.assign(new Error('another attempt was first'), { name: 'AbortError' })
}
