import { systemClock, type Clock } from '../../clock.ts'
import { DEFAULTS } from '../../defaults.ts'
import { CircuitOpenError } from '../../errors.ts'
import { emit } from '../../emit.ts'
import { withDefaults } from '../../options.ts'
import {
  isNoNews,
  settled,
  unwrap,
  type Context,
  type Next,
  type Outcome,
  type Policy,
  type OnEvent,
} from '../../policy.ts'
import { systemRandom, type Random } from '../../random.ts'
import type { AbortListener, Scope } from '../../signal.ts'
import {
  checkFraction,
  checkFunction,
  checkInteger,
  checkKeys,
  checkOneOf,
  checkPositive,
  invalidOption,
} from '../../validate.ts'
import { WaitingRoom } from '../../waiting-room.ts'
import type { Circuit } from './circuit.ts'
import { CircuitMap, type Circuits } from './circuits.ts'
import { REFUSED, type Permit, type Verdict } from './permit.ts'
import type { CircuitSettings, SlowCall } from './rules.ts'

export interface CircuitBreakerSettings {
  /** The sliding window. Default 30,000. */
  windowMs?: number
  /** The share of failed attempts in the window that opens the circuit, in (0, 1]. Default 0.5. */
  failureRate?: number
  /** Attempts in the window below which no share opens it. Default 10. */
  minimumCalls?: number
  /**
   * Failures in a row, within the window, that open it as well, however few attempts there were. Default `false`: a
   * service that fails 30 % of its attempts at random has rows of any length.
   */
  consecutive?: number | false
  /** Opens it as well when too many attempts are slow, successful or not. Default `false`. */
  slowCall?: SlowCall | false
  /** How long it stays open; doubles with every failed test request. Default 5000, ±25 %. */
  openMs?: number
  /** The cap of that doubling. Default 30,000. */
  maxOpenMs?: number
  /** How many test requests decide whether it closes, all at once or one by one, by the same shares. Default 1. */
  halfOpenProbes?: number
  /** 'reject' with a `CircuitOpenError` at once (default), or 'wait' until the circuit lets the call through. */
  whenOpen?: 'reject' | 'wait'
  /** How many circuits are kept; only closed, idle ones are forgotten. Default 1000. */
  maxCircuits?: number
}

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

const SETTINGS = Object.keys(DEFAULTS.circuitBreaker)
const HOOKS = ['key', 'isFailure', 'settledKey', 'random', 'onEvent'] as const
const KEYS = [...SETTINGS, ...HOOKS, 'leaseMs', 'clock']

export function checkCircuitBreaker(name: string, settings: CircuitBreakerSettings): void {
  for (const key of ['windowMs', 'openMs', 'maxOpenMs'] as const) {
    if (settings[key] !== undefined) checkPositive(`${name}.${key}`, settings[key])
  }
  if (settings.failureRate !== undefined) checkFraction(`${name}.failureRate`, settings.failureRate)
  for (const key of ['minimumCalls', 'halfOpenProbes', 'maxCircuits'] as const) {
    if (settings[key] !== undefined) checkInteger(`${name}.${key}`, settings[key], 1)
  }
  if (isGiven(settings.consecutive)) checkInteger(`${name}.consecutive`, settings.consecutive, 1)
  if (isGiven(settings.slowCall)) checkSlowCall(`${name}.slowCall`, settings.slowCall)
  if (settings.whenOpen !== undefined) checkOneOf(`${name}.whenOpen`, settings.whenOpen, ['reject', 'wait'])
  const { openMs, maxOpenMs } = complete(settings)
  if (maxOpenMs < openMs) throw invalidOption(`${name}.maxOpenMs`, `>= openMs (${openMs})`, maxOpenMs)
}

const isGiven = <T>(value: T | false | undefined): value is T => value !== undefined && value !== false

function checkSlowCall(name: string, slowCall: SlowCall): void {
  checkKeys(name, slowCall, ['durationMs', 'rate'])
  checkPositive(`${name}.durationMs`, slowCall.durationMs)
  checkFraction(`${name}.rate`, slowCall.rate)
}

/** An open time above the default cap lifts the cap: only a cap that was asked for can contradict it. */
function complete(settings: CircuitBreakerSettings): Required<CircuitBreakerSettings> {
  const all = withDefaults<Required<CircuitBreakerSettings>>(DEFAULTS.circuitBreaker, settings)
  return { ...all, maxOpenMs: settings.maxOpenMs ?? Math.max(all.maxOpenMs, all.openMs) }
}

/**
 * Stops calling what keeps failing: opens when half of at least ten attempts within 30 s have failed, rejects at once
 * for 5 s, then lets a single test request find out whether the service has recovered. Stands inside `retry`, so that
 * it samples attempts, and outside the attempt timeout, so that timeouts count.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function circuitBreaker<Value = unknown>(
  options: CircuitBreakerOptions<Value> = {},
): CircuitBreaker<Value> {
  checkKeys('circuitBreaker', options, KEYS)
  checkCircuitBreaker('circuitBreaker', options)
  for (const hook of HOOKS) {
    if (options[hook] !== undefined) checkFunction(`circuitBreaker.${hook}`, options[hook])
  }
  if (options.leaseMs !== undefined) checkPositive('circuitBreaker.leaseMs', options.leaseMs)
  return guard(new CircuitStore(options), options)
}

/** How many calls may park at a breaker's open circuits before further ones are rejected. */
export const MAX_WAITING = 1000

/** The part that holds state: circuits, and who waits for them. Policies of one client share it. */
export class CircuitStore {
  readonly settings: Required<CircuitBreakerSettings> & Pick<CircuitSettings, 'leaseMs'>
  readonly circuits: CircuitMap
  readonly waiting: WaitingRoom

  constructor(
    options: CircuitBreakerSettings & Pick<CircuitBreakerOptions, 'leaseMs' | 'clock' | 'random' | 'onEvent'>,
  ) {
    const settings = complete(options)
    const clock = options.clock ?? systemClock
    this.settings = { ...settings, leaseMs: options.leaseMs ?? settings.openMs }
    this.waiting = new WaitingRoom(clock)
    this.circuits = new CircuitMap(settings.maxCircuits, {
      settings: this.settings,
      clock,
      random: options.random ?? systemRandom,
      onChange: (event) => {
        emit(options.onEvent, event)
        this.waiting.wakeAll()
      },
      onProbeReturned: () => this.waiting.wakeAll(),
    })
  }
}

type GuardOptions<Value> = Pick<CircuitBreakerOptions<Value>, 'key' | 'isFailure' | 'settledKey' | 'whenOpen'>

/** The policy over a store of circuits. */
export function guard<Value>(store: CircuitStore, options: GuardOptions<Value>): CircuitBreaker<Value> {
  const { whenOpen = store.settings.whenOpen } = options
  return {
    name: 'circuit-breaker',
    settings: { ...store.settings, whenOpen },
    circuits: store.circuits,
    wrap:
      <T extends Value>(next: Next<T>) =>
      async (context: Context): Promise<T> => {
        const circuit = store.circuits.get(options.key?.(context) ?? context.execution.key)
        let permit = circuit.tryAcquire()
        if (permit === REFUSED) permit = await whenRefused(store, circuit, context, whenOpen)
        const attempt = new GuardedAttempt(circuit, permit, context.scope)
        const outcome = await settled(next(context))
        settle(store, attempt, outcome, context, options)
        return unwrap(outcome)
      },
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

  settle(verdict: Verdict): void {
    if (this.#end()) this.circuit.settle(this.#permit, verdict, this.#startedMs)
  }

  /** The circuit that was asked has answered; what came of it counts for another one, its duration too. */
  settleAt(other: Circuit, verdict: Verdict): void {
    if (!this.#end()) return
    this.circuit.settle(this.#permit, 'success')
    other.record(verdict, this.#startedMs)
  }

  #end(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#scope.remove(this)
    return true
  }
}

/** Until when asking again may help. An isolated circuit only opens by hand: no time is worth waking for. */
function worthWaitingMs(circuit: Circuit): number | undefined {
  if (circuit.state === 'isolated') return undefined
  // At least a millisecond: a test request of no remaining lease must not spin.
  return Math.max(1, circuit.retryAfterMs)
}

async function whenRefused(
  { waiting }: CircuitStore,
  circuit: Circuit,
  context: Context,
  whenOpen: 'reject' | 'wait',
): Promise<Permit> {
  let permit: Permit = REFUSED
  while (permit === REFUSED) {
    if (whenOpen === 'reject' || waiting.size >= MAX_WAITING)
      throw new CircuitOpenError(circuit.key, circuit.retryAfterMs)
    await waiting.wait(context.scope, worthWaitingMs(circuit))
    permit = circuit.tryAcquire()
  }
  return permit
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
  { circuits }: CircuitStore,
  attempt: GuardedAttempt,
  outcome: Outcome<Value>,
  context: Context,
  options: GuardOptions<Value>,
): void {
  const { circuit } = attempt
  try {
    const verdict = judge(outcome, context, options)
    const settledKey = options.settledKey?.(outcome, context) ?? circuit.key
    if (settledKey === circuit.key) attempt.settle(verdict)
    else attempt.settleAt(circuits.get(settledKey), verdict)
  } finally {
    // A rule of the caller's that throws must not keep the permit.
    attempt.settle('ignored')
  }
}
