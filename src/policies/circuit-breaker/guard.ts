import { nowIn } from '../../core/beginning.ts'
import { systemClock, type Clock } from '../../primitives/clock.ts'
import { begin, directPolicy, failed, type Receiver, type Start } from '../../core/direct.ts'
import { CircuitOpenError } from '../../primitives/errors.ts'
import { emit } from '../../core/emit.ts'
import type { Complete } from '../../primitives/options.ts'
import { isNoNews, soon, type Context, type Outcome, type OnEvent, type Policy } from '../../core/policy.ts'
import { systemRandom, type Random } from '../../primitives/random.ts'
import type { AbortListener, Scope } from '../../primitives/signal.ts'
import type { Circuit } from './circuit.ts'
import { CircuitMap, type Circuits, type KeyOf } from './circuits.ts'
import { REFUSED, type Permit, type Verdict } from './permit.ts'
import type { CircuitSettings } from './rules.ts'
import { complete, type CircuitBreakerSettings } from './settings.ts'

export interface CircuitBreakerOptions<Value = unknown> extends CircuitBreakerSettings {
  /** Calls with the same key share a circuit. Default: the `key` that `execute` was given, else all calls share one. */
  key?: ((context: Context) => string) | undefined
  /** Whether an outcome is a failure, or says nothing ('ignored'). Default: any throw is one. */
  isFailure?: ((outcome: Outcome<Value>, context: Context) => boolean | 'ignored') | undefined
  /** The circuit that an outcome belongs to, where that is another one: a redirect led elsewhere. */
  settledKey?: ((outcome: Outcome<Value>, context: Context) => string | undefined) | undefined
  /** How long a test request may take before it counts as failed. Default `openMs`. */
  leaseMs?: number | undefined
  clock?: Clock | undefined
  random?: Random | undefined
  onEvent?: OnEvent | undefined
}

export interface CircuitBreaker<Value = unknown> extends Policy<Value> {
  readonly circuits: Circuits
}

/** Where calls wait at open circuits. */
export interface Parking {
  /** Resolves with a permit, once there is one. */
  park(circuit: Circuit, context: Context, leaseMs: number | undefined): Promise<Permit>
  /** Everybody looks again. */
  wakeAll(): void
}

/** The part that holds state: circuits, and who waits for them. Policies of one client share it. */
export class CircuitStore {
  readonly settings: Complete<CircuitBreakerSettings> & Pick<CircuitSettings, 'leaseMs'>
  readonly circuits: CircuitMap
  readonly clock: Clock
  /** There once somebody may have to wait. */
  parking: Parking | undefined

  constructor(
    options: CircuitBreakerSettings &
      Pick<CircuitBreakerOptions, 'clock' | 'random' | 'onEvent'> &
      Pick<GuardOptions<unknown>, 'leaseMs'>,
    keyOf?: KeyOf,
  ) {
    const settings = complete(options)
    this.clock = options.clock ?? systemClock
    this.settings = { ...settings, leaseMs: options.leaseMs ?? settings.openMs }
    this.circuits = new CircuitMap(
      settings.maxCircuits,
      {
        settings: this.settings,
        clock: this.clock,
        random: options.random ?? systemRandom,
        onChange: (event) => {
          emit(options.onEvent, event)
          this.parking?.wakeAll()
        },
        onProbeReturned: () => this.parking?.wakeAll(),
      },
      keyOf,
    )
  }
}

interface GuardOptions<Value> extends Pick<CircuitBreakerOptions<Value>, 'key' | 'isFailure' | 'whenOpen'> {
  settledKey?: CircuitBreakerOptions<Value>['settledKey'] | undefined
  /** That of test requests by this policy. Default: the store's. */
  leaseMs?: number | undefined
}

/**
 * The policy over a store of circuits.
 *
 * @param parking Where calls wait; without one they are rejected.
 */
export function guard<Value>(
  { settings, circuits, clock }: CircuitStore,
  options: GuardOptions<Value>,
  parking?: Parking,
): CircuitBreaker<Value> {
  const rules: Rules<Value> = { circuits, options }
  const { whenOpen = settings.whenOpen, leaseMs = settings.leaseMs } = options
  const fields = { name: 'circuit-breaker', settings: { ...settings, whenOpen, leaseMs }, circuits }
  return directPolicy<Value, typeof fields>(fields, <T extends Value>(start: Start<T>): Start<T> => {
    return (context, receiver) => {
      const circuit = circuits.byKey.get(options.key?.(context) ?? context.execution.key)
      const nowMs = circuit.isClosed ? 0 : nowIn(context.scope, clock)
      const permit = circuit.tryAcquire(leaseMs, nowMs)
      if (permit !== REFUSED)
        begin(start, context, new GuardedAttempt<Value, T>(circuit, permit, context, receiver, rules))
      else if (parking === undefined) refuse(circuit, circuit.retryAfterMsAt(nowMs), receiver)
      else park(parking, circuit, context, receiver, start, rules)
    }
  })
}

function park<Value, T extends Value>(
  parking: Parking,
  circuit: Circuit,
  context: Context,
  receiver: Receiver<T>,
  start: Start<T>,
  rules: Rules<Value>,
): void {
  parking.park(circuit, context, rules.options.leaseMs).then(
    (permit) =>
      begin(start, context, new GuardedAttempt<Value, T>(circuit, permit, context, receiver, rules)),
    (error: unknown) => receiver.end(failed(error)),
  )
}

/**
 * In a moment: a promise that is rejected from the start would be told of by the platform as one that nobody handles,
 * and again once somebody does, which takes 500 ns.
 */
function refuse({ key }: Circuit, retryAfterMs: number, receiver: Receiver<never>): void {
  void soon.then(() => receiver.end(failed(new CircuitOpenError(key, retryAfterMs))))
}

interface Rules<Value> {
  readonly circuits: CircuitMap
  readonly options: GuardOptions<Value>
}

/** An attempt that was let through, until its permit is settled: once. */
class GuardedAttempt<Value, T extends Value> implements AbortListener, Receiver<T> {
  readonly #circuit: Circuit
  readonly #permit: Permit
  readonly #context: Context
  readonly #receiver: Receiver<T>
  readonly #rules: Rules<Value>
  readonly #startedMs: number | undefined
  #isSettled = false

  constructor(
    circuit: Circuit,
    permit: Permit,
    context: Context,
    receiver: Receiver<T>,
    rules: Rules<Value>,
  ) {
    this.#circuit = circuit
    this.#permit = permit
    this.#context = context
    this.#receiver = receiver
    this.#rules = rules
    this.#startedMs = circuit.startMs
    // Everybody else waits for a test request: when it is called off, the next one may go at once.
    if (circuit.isProbe(permit)) context.scope.add(this)
  }

  onAbort(scope: Scope): void {
    if (scope.isCalledOff) this.#settle('ignored')
  }

  end(outcome: Outcome<T>): void {
    try {
      this.#settle(this.#judge(outcome), this.#circuitOf(outcome))
    } catch (error) {
      // A rule of the caller's that throws must not keep the permit.
      this.#settle('ignored')
      return this.#receiver.end(failed(error))
    }
    this.#receiver.end(outcome)
  }

  #judge(outcome: Outcome<Value>): Verdict {
    if (isNoNews(outcome, this.#context)) return 'ignored'
    const { isFailure } = this.#rules.options
    const failed = isFailure === undefined ? !outcome.ok : isFailure(outcome, this.#context)
    if (failed === 'ignored') return 'ignored'
    return failed ? 'failure' : 'success'
  }

  /** Whom an outcome is about: what comes of a redirect belongs to where it led. */
  #circuitOf(outcome: Outcome<Value>): Circuit {
    const { circuits, options } = this.#rules
    const key = options.settledKey?.(outcome, this.#context) ?? this.#circuit.key
    return key === this.#circuit.key ? this.#circuit : circuits.byKey.get(key)
  }

  /**
   * @param by Whom the verdict is about. Where that is another circuit, the one that was asked has answered well: it led
   * there.
   */
  #settle(verdict: Verdict, by: Circuit = this.#circuit): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#context.scope.remove(this)
    const isOwn = by === this.#circuit
    this.#circuit.settle(this.#permit, isOwn ? verdict : 'success', isOwn ? this.#startedMs : undefined)
    if (!isOwn) by.record(verdict, this.#startedMs)
  }
}
