import type { HoldfastFetch } from '../../client/options.ts'
import type { CallInfo, HoldfastEvent } from '../../core/events.ts'
import type { CircuitState } from '../../policies/circuit-breaker/snapshot.ts'
import { requestAttributes, resultAttributes, schemeOf } from './attributes.ts'
import type { Attributes, Backend, Reading } from './backend.ts'
import { CLIENT_INSTRUMENTS } from './instruments.ts'

type EventOf<Type extends HoldfastEvent['type']> = Extract<HoldfastEvent, { type: Type }>

/** What becomes of the events of a call; those that are left out are not measured. */
type Handlers = {
  readonly [Type in HoldfastEvent['type']]?: (event: EventOf<Type>, request: Attributes) => void
}

/** The values of the gauge, as its description names them. */
const STATES: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2, isolated: 3 }

/** Measures what a fetch does. @returns the listener that does it */
export function measureClient(fetch: HoldfastFetch, backend: Backend): (event: HoldfastEvent) => void {
  backend.gauge(CLIENT_INSTRUMENTS.circuit, () => readings(fetch.circuits, ({ state }) => STATES[state]))
  backend.gauge(CLIENT_INSTRUMENTS.budget, () => readings(fetch.budgets, ({ tokens }) => tokens))
  const ofCalls: Handlers = { ...measured(backend), ...counted(backend) }
  const onTransition = transitions(backend)
  return (event) => {
    if (event.call === undefined) onTransition(event)
    else handle(ofCalls, event, event.call)
  }
}

function* readings<T extends { readonly key: string }>(
  all: Iterable<T>,
  valueOf: (each: T) => number,
): Generator<Reading> {
  for (const each of all) yield [valueOf(each), { 'holdfast.key': each.key }]
}

function handle(handlers: Handlers, event: HoldfastEvent, call: CallInfo): void {
  // The type of the event chooses the handler that takes it.
  const handler = handlers[event.type] as ((event: HoldfastEvent, request: Attributes) => void) | undefined
  handler?.(event, requestAttributes(call))
}

/** Attempts, calls and retries: what has a result. */
function measured(backend: Backend): Handlers {
  const attempt = backend.histogram(CLIENT_INSTRUMENTS.attempt)
  const call = backend.histogram(CLIENT_INSTRUMENTS.call)
  const retry = backend.counter(CLIENT_INSTRUMENTS.retry)
  const replay = backend.counter(CLIENT_INSTRUMENTS.replay)
  const uncertain = backend.counter(CLIENT_INSTRUMENTS.uncertain)
  return {
    'attempt-end'(event, request) {
      const scheme = event.call && { 'url.scheme': schemeOf(event.call) }
      attempt(event.durationMs, { ...request, ...scheme, ...resultAttributes(event) })
      if (event.replayed) replay(request)
    },
    'call-end'(event, request) {
      call(event.durationMs, { ...request, 'holdfast.source': event.source, ...resultAttributes(event) })
      if (event.uncertain) uncertain(request)
    },
    retry: (event, request) => retry({ ...request, ...resultAttributes(event) }),
  }
}

/** What is only counted. */
function counted(backend: Backend): Handlers {
  const giveUp = backend.counter(CLIENT_INSTRUMENTS.giveUp)
  const timeout = backend.counter(CLIENT_INSTRUMENTS.timeout)
  const hedge = backend.counter(CLIENT_INSTRUMENTS.hedge)
  const cacheHit = backend.counter(CLIENT_INSTRUMENTS.cacheHit)
  const coalesced = backend.counter(CLIENT_INSTRUMENTS.coalesced)
  const fallback = backend.counter(CLIENT_INSTRUMENTS.fallback)
  const pace = backend.counter(CLIENT_INSTRUMENTS.pace)
  return {
    'give-up': ({ reason }, request) => giveUp({ ...request, 'holdfast.reason': reason }),
    timeout: ({ kind }, request) => timeout({ ...request, 'holdfast.kind': kind }),
    hedge: (_, request) => hedge(request),
    'cache-hit': ({ kind }, request) => cacheHit({ ...request, 'holdfast.kind': kind }),
    coalesced: (_, request) => coalesced(request),
    fallback: ({ reason }, request) => fallback({ ...request, 'holdfast.reason': reason }),
    pace: (_, request) => pace(request),
  }
}

/** Circuits belong to no call. */
function transitions(backend: Backend): (event: HoldfastEvent) => void {
  const transition = backend.counter(CLIENT_INSTRUMENTS.transition)
  const to = (key: string, state: CircuitState): void =>
    transition({ 'holdfast.key': key, 'holdfast.state': state })
  return (event) => {
    if (event.type === 'circuit-open') to(event.key, event.isolated ? 'isolated' : 'open')
    if (event.type === 'circuit-half-open') to(event.key, 'half-open')
    if (event.type === 'circuit-close') to(event.key, 'closed')
  }
}
