import { describePolicies, showAs } from '../describe.ts'
import { discard } from '../http/discard.ts'
import type { FetchInput } from '../http/fetch-types.ts'
import { checkKey } from '../http/idempotency-key.ts'
import { holdersOf, isComing } from '../http/lazy-body.ts'
import { Context, Execution, unwrap, type ExecutionFields, type Outcome } from '../policy.ts'
import { followSignal, linkTo, raceAbort, type SignalLink } from '../signal.ts'
import { checkFunction } from '../validate.ts'
import { assemble, describedParts, type Assembly } from './assemble.ts'
import { attempt } from './attempt.ts'
import { eventResult, type FetchCall, type Watch } from './call.ts'
import { Listeners } from './listeners.ts'
import { checkObserver, onAttemptOf } from './observers.ts'
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

/** Events of policies say which call they belong to. */
function fieldsOf(call: FetchCall): ExecutionFields {
  return {
    data: call,
    key: call.circuitKey,
    // What comes out of a client's pipeline is always a response.
    judge: (outcome) => call.standingOf(outcome as Outcome<Response>),
    onEvent: call.watch.onEvent && ((event) => call.tell(event)),
  }
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
  readonly #onAttempt: Watch['onAttempt']
  /** The same, but coalescing or not: calls that only change this share one, since only those of one plan share. */
  #otherPlan: Plan | undefined

  constructor({ options, observers }: Origin, settings: Settings, state: ClientState) {
    this.#options = options
    this.#state = state
    this.#plan = this.#planOf(settings)
    this.#isOff = observers.length === 0 && isOff(settings)
    this.#listeners = new Listeners([settings.onEvent, ...observers.map(({ onEvent }) => onEvent)])
    this.#onAttempt = onAttemptOf(observers)
  }

  describe(): string {
    return describePolicies(describedParts(this.#plan.settings, this.#plan))
  }

  async fetch(input: FetchInput, init: HoldfastInit | undefined): Promise<Response> {
    const { sender } = this.#state
    if (isOwnAttempt(input, init)) return sender.sendPastReplacement(input, init, requestOf(input))
    const own = init?.holdfast
    const caller = this.#isOff && own === undefined ? undefined : readRequest(input, init)
    // What is none of the pipeline's business goes to the transport as it came.
    if (caller === undefined)
      return sender.pass(input, own === undefined ? init : withoutOwn(init), requestOf(input))
    const plan = own === undefined ? this.#plan : this.#planFor(own)
    const watch = { onEvent: this.#listeners.current, onAttempt: this.#onAttempt }
    const call = prepareCall(caller, plan.settings, own ?? NOTHING, watch, this.#state)
    const route = routeOf(init)
    const link = route ? linkTo(route.scope) : followSignal(caller.signal)
    const { scope } = link
    let work: Promise<Response> | undefined
    let outcome: Outcome<Response>
    try {
      work = plan.handler(new Context(new Execution(attempt, fieldsOf(call)), scope))
      outcome = { ok: true, value: await (link.linked && !route ? raceAbort(scope, work) : work) }
    } catch (error) {
      outcome = { ok: false, error }
    }
    finish(call, outcome, link)
    // The caller has left; what may still come has nobody to read it.
    if (scope.aborted) work?.then(discard, () => {})
    return unwrap(outcome)
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

function finish(call: FetchCall, outcome: Outcome<Response>, link: SignalLink): void {
  if (!outcome.ok) {
    link.release()
    // The reason of an abort is the caller's own object: it is handed back as it is.
    if (link.scope.abortedBy !== 'caller') setOutcome(outcome.error, call.outcome)
  } else {
    const { value: response } = outcome
    if (link.linked) {
      if (isComing(response)) link.keepFor(holdersOf(response), call.scopeOf(response) ?? link.scope)
      else link.release()
    }
    setOutcome(response, call.outcome)
  }
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
