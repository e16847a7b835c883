import { systemClock, type Clock } from '../../clock.ts'
import { CircuitOpenError } from '../../errors.ts'
import { emit } from '../../emit.ts'
import {
  isNoNews,
  rejected,
  type Context,
  type Next,
  type Outcome,
  type OnEvent,
  type Policy,
} from '../../policy.ts'
import { systemRandom, type Random } from '../../random.ts'
import type { AbortListener, Scope } from '../../signal.ts'
import type { Circuit } from './circuit.ts'
import { CircuitMap, type Circuits } from './circuits.ts'
import { REFUSED, type Permit, type Verdict } from './permit.ts'
import type { CircuitSettings } from './rules.ts'
import { complete, type CircuitBreakerSettings } from './settings.ts'

export interface CircuitBreakerOptions<Value = unknown> extends CircuitBreakerSettings {
  /** Calls with the same key share a circuit. Default: the `key` that `execute` was given, else all calls share one. */
  key?: (context: Context) => string
  /** Whether an outcome is a failure, or says nothing ('ignored'). Default: any throw is one. */
  isFailure?: (outcome: Outcome<Value>, context: Context) => boolean | 'ignored'
  /** The circuit that an outcome belongs to, where that is another one: a redirect led elsewhere. */
  settledKey?: (outcome: Outcome<Value>, context: Context) => string | undefined
  /** How long a test request may take before it counts as failed. Default `openMs`. */
  leaseMs?: number
  clock?: Clock
  random?: Random
  onEvent?: OnEvent
}

export interface CircuitBreaker<Value = unknown> extends Policy<Value> {
  readonly circuits: Circuits
}

/** Where calls wait at open circuits. */
export interface Parking {
  /** Resolves with a permit, once there is one. */
  park(circuit: Circuit, scope: Scope): Promise<Permit>
  /** Everybody looks again. */
  wakeAll(): void
}

/** The part that holds state: circuits, and who waits for them. Policies of one client share it. */
export class CircuitStore {
  readonly settings: Required<CircuitBreakerSettings> & Pick<CircuitSettings, 'leaseMs'>
  readonly circuits: CircuitMap
  readonly clock: Clock
  /** There once somebody may have to wait. */
  parking: Parking | undefined

  constructor(
    options: CircuitBreakerSettings & Pick<CircuitBreakerOptions, 'leaseMs' | 'clock' | 'random' | 'onEvent'>,
  ) {
    const settings = complete(options)
    this.clock = options.clock ?? systemClock
    this.settings = { ...settings, leaseMs: options.leaseMs ?? settings.openMs }
    this.circuits = new CircuitMap(settings.maxCircuits, {
      settings: this.settings,
      clock: this.clock,
      random: options.random ?? systemRandom,
      onChange: (event) => {
        emit(options.onEvent, event)
        this.parking?.wakeAll()
      },
      onProbeReturned: () => this.parking?.wakeAll(),
    })
  }
}

type GuardOptions<Value> = Pick<CircuitBreakerOptions<Value>, 'key' | 'isFailure' | 'settledKey' | 'whenOpen'>

/**
 * The policy over a store of circuits.
 *
 * @param parking Where calls wait; without one they are rejected.
 */
export function guard<Value>(
  { settings, circuits }: CircuitStore,
  options: GuardOptions<Value>,
  parking?: Parking,
): CircuitBreaker<Value> {
  return {
    name: 'circuit-breaker',
    settings: { ...settings, whenOpen: options.whenOpen ?? settings.whenOpen },
    circuits,
    wrap<T extends Value>(next: Next<T>): Next<T> {
      return (context) => {
        const circuit = circuits.get(options.key?.(context) ?? context.execution.key)
        const permit = circuit.tryAcquire()
        if (permit !== REFUSED) return attempt(circuit, permit, next, context)
        if (parking === undefined) return rejected(new CircuitOpenError(circuit.key, circuit.retryAfterMs))
        return parking.park(circuit, context.scope).then((late) => attempt(circuit, late, next, context))
      }
    },
  }

  function attempt<T extends Value>(
    circuit: Circuit,
    permit: Permit,
    next: Next<T>,
    context: Context,
  ): Promise<T> {
    const attempted = new GuardedAttempt(circuit, permit, context.scope)
    return next(context).then(
      (value) => {
        settle(circuits, attempted, { ok: true, value }, context, options)
        return value
      },
      (error: unknown) => {
        settle(circuits, attempted, { ok: false, error }, context, options)
        throw error
      },
    )
  }
}

/** An attempt that was let through, until its permit is settled: once. */
class GuardedAttempt implements AbortListener {
  readonly circuit: Circuit
  readonly #permit: Permit
  readonly #scope: Scope
  readonly #startedMs: number | undefined
  #settled = false

  constructor(circuit: Circuit, permit: Permit, scope: Scope) {
    this.circuit = circuit
    this.#permit = permit
    this.#scope = scope
    this.#startedMs = circuit.startMs
    // Everybody else waits for a test request: when it is called off, the next one may go at once.
    if (circuit.isProbe(permit)) scope.add(this)
  }

  onAbort(scope: Scope): void {
    if (scope.isCalledOff) this.settle('ignored')
  }

  /**
   * @param by Whom the verdict is about. Where that is another circuit, the one that was asked has answered well: it led
   * there.
   */
  settle(verdict: Verdict, by: Circuit = this.circuit): void {
    if (this.#settled) return
    this.#settled = true
    this.#scope.remove(this)
    const isOwn = by === this.circuit
    this.circuit.settle(this.#permit, isOwn ? verdict : 'success', isOwn ? this.#startedMs : undefined)
    if (!isOwn) by.record(verdict, this.#startedMs)
  }
}

function judge<Value>(
  outcome: Outcome<Value>,
  context: Context,
  { isFailure }: GuardOptions<Value>,
): Verdict {
  if (isNoNews(outcome, context)) return 'ignored'
  const failed = isFailure === undefined ? !outcome.ok : isFailure(outcome, context)
  if (failed === 'ignored') return 'ignored'
  return failed ? 'failure' : 'success'
}

/** A redirect is a healthy answer of the circuit that was asked; what came of it belongs to where it led. */
function settle<Value>(
  circuits: CircuitMap,
  attempt: GuardedAttempt,
  outcome: Outcome<Value>,
  context: Context,
  options: GuardOptions<Value>,
): void {
  const { circuit } = attempt
  try {
    const verdict = judge(outcome, context, options)
    const settledKey = options.settledKey?.(outcome, context) ?? circuit.key
    attempt.settle(verdict, settledKey === circuit.key ? circuit : circuits.get(settledKey))
  } finally {
    // A rule of the caller's that throws must not keep the permit.
    attempt.settle('ignored')
  }
}
