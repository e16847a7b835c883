import { beginAt } from '../core/beginning.ts'
import { describePolicies, showAs } from '../core/describe.ts'
import { Settler, type Receiver } from '../core/direct.ts'
import { allOf } from '../core/emit.ts'
import { EndingScope } from '../core/ending-scope.ts'
import { discard } from '../http/discard.ts'
import type { FetchInput } from '../http/fetch-types.ts'
import { checkKey } from '../http/idempotency-key.ts'
import { holdersOf, isComing } from '../http/lazy-body.ts'
import { Context, resultOf, type Outcome } from '../core/policy.ts'
import { followSignal, type SignalLink } from '../primitives/signal.ts'
import { checkFunction } from '../primitives/validate.ts'
import { assemble, describedParts, type Assembly } from './assemble.ts'
import { eventResult, type FetchCall, type Watch } from './call.ts'
import { Listeners } from './listeners.ts'
import { checkObserver } from './observers.ts'
import type {
  CallOptions,
  DerivedOptions,
  FetchOptions,
  HoldfastFetch,
  HoldfastInit,
  Observer,
} from './options.ts'
import { setOutcome } from './outcome.ts'
import { prepareCall } from './prepare.ts'
import { readRequest, requestOf } from './request.ts'
import { checkDerived, merge } from './settings/merge.ts'
import { DERIVED_KEYS, RULES } from './settings/rules.ts'
import { isOff, settingsOf, type Settings } from './settings/settings.ts'
import { ClientState } from './state.ts'
import { isOwnAttempt, markAsHoldfast, routeOf } from './transport.ts'

/**
 * Makes a fetch that survives failure: retries with exponential backoff, a circuit breaker per origin, an idempotency
 * key on every write, timeouts and a retry budget, all on by default (`DEFAULTS`). Every part also takes `false`.
 *
 * @example
 * const fetch = createFetch()
 * const response = await fetch('https://api.example.com/orders', { method: 'POST', body })
 * @throws {HoldfastError} ERR_INVALID_OPTION, naming the option and showing its value
 */
export function createFetch(options: FetchOptions = {}): HoldfastFetch {
  const settings = settingsOf(options)
  return fetchFor({ options, observers: [] }, settings, new ClientState(options, settings))
}

/** What a fetch is made from. */
interface Origin {
  readonly options: FetchOptions
  readonly observers: readonly Observer[]
}

function fetchFor(origin: Origin, settings: Settings, state: ClientState): HoldfastFetch {
  const { options, observers } = origin
  const client = new Client(origin, settings, state)
  const fetch = (input: FetchInput, init?: HoldfastInit): Promise<Response> => client.fetch(input, init)
  markAsHoldfast(fetch, state.sender)
  const describe = (): string => client.describe()
  showAs(fetch, () => `holdfast fetch\n${describe()}\n${stateOfCircuits(state)}`)
  return Object.assign(fetch, {
    describe,
    circuits: state.circuits.circuits,
    budgets: state.budgets,
    with(changes: DerivedOptions): HoldfastFetch {
      checkDerived('fetch.with', changes, DERIVED_KEYS)
      const merged = merge(options, changes)
      return fetchFor({ options: merged, observers }, settingsOf(merged), state)
    },
    observe(observer: Observer): HoldfastFetch {
      checkObserver(observer)
      if (observer.onEvent !== undefined) state.circuitListeners.add(observer.onEvent)
      return fetchFor({ options, observers: [...observers, observer] }, settings, state)
    },
  })
}

const PER_CALL_KEYS = [
  ...DERIVED_KEYS.filter((key) => !['onEvent', 'policies', 'beforeAttempt'].includes(key)),
  'idempotencyKey',
  'body',
]

/** Which services are in trouble: what one looks for in a log. */
function stateOfCircuits({ circuits: { circuits } }: ClientState): string {
  const troubled = [...circuits].filter(({ state }) => state !== 'closed')
  const shown = troubled.map(({ key, state }) => `${key} ${state}`)
  return `circuits: ${[circuits.size, ...shown].join(', ')}`
}

const NOTHING: CallOptions = {}

const withoutOwn = ({ holdfast: _own, ...rest }: HoldfastInit = {}): RequestInit => rest

/** Settings, and the pipeline that was built from them. */
interface Plan extends Assembly {
  readonly settings: Settings
}

class Client {
  readonly #options: FetchOptions
  readonly #state: ClientState
  readonly #plan: Plan
  readonly #isOff: boolean
  readonly #listeners: Listeners
  #watch: Watch
  /** The same, but coalescing or not: calls that only change this share one, since only those of one plan share. */
  #otherPlan: Plan | undefined

  constructor({ options, observers }: Origin, settings: Settings, state: ClientState) {
    this.#options = options
    this.#state = state
    this.#plan = this.#planOf(settings)
    this.#isOff = observers.length === 0 && isOff(settings)
    this.#listeners = new Listeners([settings.onEvent, ...observers.map(({ onEvent }) => onEvent)])
    this.#watch = { onEvent: undefined, onAttempt: allOf(observers.map(({ onAttempt }) => onAttempt)) }
  }

  describe(): string {
    return describePolicies(describedParts(this.#plan.settings, this.#plan))
  }

  /** Makes the one promise of a call: the one that its caller gets. */
  fetch(input: FetchInput, init: HoldfastInit | undefined): Promise<Response> {
    return new Promise((resolve, reject) => this.#begin(input, init, new Settler(resolve, reject)))
  }

  #begin(input: FetchInput, init: HoldfastInit | undefined, receiver: Settler<Response>): void {
    const { sender } = this.#state
    if (isOwnAttempt(input, init))
      return receiver.resolve(sender.sendPastReplacement(input, init, requestOf(input)))
    const own = init?.holdfast
    const caller = this.#isOff && own === undefined ? undefined : readRequest(input, init)
    // What is none of the pipeline's business goes to the transport as it came.
    if (caller === undefined)
      return receiver.resolve(
        sender.pass(input, own === undefined ? init : withoutOwn(init), requestOf(input)),
      )
    const plan = own === undefined ? this.#plan : this.#planFor(own)
    const onEvent = this.#listeners.current
    if (onEvent !== this.#watch.onEvent) this.#watch = { ...this.#watch, onEvent }
    const call = prepareCall(caller, plan.settings, own ?? NOTHING, this.#watch, this.#state)
    const scope = new CallScope(call, receiver)
    const route = routeOf(init)
    if (route === undefined) scope.link = followSignal(caller.signal, scope)
    else scope.moveUnder(route.scope)
    if (!scope.aborted)
      beginAt(this.#state.clock, call.startedMs, plan.start, new Context(call, scope), scope)
  }

  #planFor(own: CallOptions): Plan {
    checkDerived('holdfast', own, PER_CALL_KEYS)
    const { idempotencyKey, body, coalesce = this.#plan.settings.coalesce, ...changes } = own
    if (idempotencyKey !== undefined) checkKey('holdfast.idempotencyKey', idempotencyKey)
    if (body !== undefined) checkFunction('holdfast.body', body)
    if (Object.keys(changes).length > 0)
      return this.#planOf(settingsOf(merge(this.#options, { ...changes, coalesce })))
    RULES.coalesce('coalesce', coalesce)
    if (coalesce === this.#plan.settings.coalesce) return this.#plan
    this.#otherPlan ??= this.#planOf(settingsOf(merge(this.#options, { coalesce })))
    return this.#otherPlan
  }

  #planOf(settings: Settings): Plan {
    return { settings, ...assemble(settings, this.#state) }
  }
}

/** A call: its caller's abort ends it at once, and what still comes then has nobody to read it. */
class CallScope extends EndingScope<Response> {
  declare link: SignalLink | undefined
  declare private call: FetchCall | undefined

  constructor(call: FetchCall, receiver: Receiver<Response>) {
    super(receiver, discard)
    this.link = undefined
    this.call = call
  }

  protected override atEnd(outcome: Outcome<Response>): void {
    const { link } = this
    const call = this.call as FetchCall
    // It knows the response, and a transport's signal knows this scope: what nobody reads would never be collected.
    this.call = undefined
    if (outcome.ok && link !== undefined && isComing(outcome.value))
      link.keepFor(holdersOf(outcome.value), call.scopeOf(outcome.value) ?? this)
    else link?.release()
    // The reason of an abort is the caller's own object, handed back as it is: what was aborted is told of its request.
    const isItsReason = !outcome.ok && this.isCalledOff
    setOutcome(isItsReason ? call.caller.request : resultOf(outcome), call.outcome)
    // Nothing is made for nobody.
    if (call.watch.onEvent === undefined) return
    call.tell({
      type: 'call-end',
      attempts: call.attempts,
      durationMs: call.parts.clock.now() - call.startedMs,
      source: call.source,
      uncertain: call.uncertain,
      ...eventResult(outcome),
    })
  }
}
