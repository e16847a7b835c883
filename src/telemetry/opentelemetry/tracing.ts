import type { ObservedAttempt, Observer } from '../../client/options.ts'
import { systemClock, type Clock } from '../../primitives/clock.ts'
import type { CallInfo, EventResult, HoldfastEvent } from '../../core/events.ts'
import { requestAttributes, resultAttributes, spanMethodOf } from '../measure/attributes.ts'
import {
  CLIENT_KIND,
  ERROR,
  INTERNAL,
  type AttributeValues,
  type OpenTelemetryApi,
  type Span,
  type Tracer,
} from './api.ts'
import { definedOf } from './meter.ts'

/** The spans of one call. */
interface Trace {
  /** `undefined` where it has ended, and others still wait for what it began. */
  readonly span: Span | undefined
  /** What the spans of its attempts have as their parent. */
  readonly context: unknown
  readonly attempts: Set<Attempt>
  /** How many attempts there have been. */
  sent: number
  ended: boolean
}

/** An attempt that is under way. A policy of the user's may run several with the same number side by side. */
interface Attempt {
  readonly name: string
  readonly span: Span
  readonly startedMs: number
}

type Api = Pick<OpenTelemetryApi, 'context' | 'trace' | 'propagation'>

/** A span for each call and, as its children, one for each attempt: by the semantic conventions for HTTP clients. */
export class Tracing implements Required<Observer> {
  readonly #api: Api
  readonly #tracer: Tracer
  readonly #clock: Clock
  readonly #traces = new Map<number, Trace>()

  constructor(api: Api, tracer: Tracer, clock: Clock = systemClock) {
    this.#api = api
    this.#tracer = tracer
    this.#clock = clock
  }

  readonly onEvent = (event: HoldfastEvent): void => {
    const { call } = event
    if (call === undefined) return
    if (event.type === 'call-start') this.#traces.set(call.id, this.#begin(call))
    else if (event.type === 'attempt-start' && !this.#traces.has(call.id))
      this.#traces.set(call.id, this.#goOn(event))
    const trace = this.#traces.get(call.id)
    if (trace === undefined) return
    if (event.type === 'attempt-start') trace.attempts.add(this.#beginAttempt(trace, event, call))
    else if (event.type === 'attempt-end') this.#endAttempt(trace, event)
    else if (event.type === 'call-end') endCall(trace, event)
    else if (event.type !== 'call-start' && !trace.ended)
      trace.span?.addEvent(`holdfast.${event.type}`, detailsOf(event))
    // An attempt that others share may outlive the call that it is told for.
    if (trace.ended && trace.attempts.size === 0) this.#traces.delete(call.id)
  }

  readonly onAttempt = (attempt: ObservedAttempt): void => {
    const trace = this.#traces.get(attempt.call.id)
    // It is told of right after its start.
    const begun = trace && namedAs(attempt, trace).at(-1)
    if (trace === undefined || begun === undefined) return
    const context = this.#api.trace.setSpan(trace.context as never, begun.span as never)
    this.#api.propagation.inject(context as never, attempt.headers, SETTER)
  }

  #begin(call: CallInfo): Trace {
    const { name, attributes } = described(call)
    const active = this.#api.context.active()
    const options = { kind: INTERNAL, attributes }
    const span = this.#tracer.startSpan(`holdfast ${name}`, options, active as never)
    const context = this.#api.trace.setSpan(active as never, span as never)
    return { span, context, attempts: new Set(), sent: 0, ended: false }
  }

  /** Others that share its request wait for an attempt of a call that has ended: it belongs to whoever made that. */
  #goOn({ attempt }: Which): Trace {
    const context = this.#api.context.active()
    return { span: undefined, context, attempts: new Set(), sent: attempt - 1, ended: true }
  }

  #beginAttempt(trace: Trace, which: Which, call: CallInfo): Attempt {
    const resends = trace.sent++
    const { name, attributes: ofCall } = described(call)
    const attributes = {
      ...ofCall,
      ...(resends > 0 ? { 'http.request.resend_count': resends } : {}),
      ...(which.hedge ? { 'holdfast.hedge': true } : {}),
    }
    const options = { kind: CLIENT_KIND, attributes }
    const span = this.#tracer.startSpan(name, options, trace.context as never)
    return { name: nameOf(which), span, startedMs: this.#clock.now() }
  }

  #endAttempt(trace: Trace, event: AttemptEnd): void {
    // Of those with the same number it is the one that has taken as long as this, as far as listeners are quick.
    const startedMs = this.#clock.now() - event.durationMs
    const off = (attempt: Attempt): number => Math.abs(attempt.startedMs - startedMs)
    const [ended] = namedAs(event, trace).toSorted((a, b) => off(a) - off(b))
    if (ended === undefined) return
    trace.attempts.delete(ended)
    endSpan(ended.span, event, event.replayed ? { 'holdfast.replayed': true } : {})
  }
}

/** What every span of a call says of its request. */
function described(call: CallInfo): { readonly name: string; readonly attributes: AttributeValues } {
  const { name, attributes } = spanMethodOf(call.method)
  return {
    name,
    attributes: definedOf({ ...requestAttributes(call), ...attributes, 'url.full': call.url }),
  }
}

type Which = Pick<ObservedAttempt, 'attempt' | 'hedge'>

type AttemptEnd = Extract<HoldfastEvent, { type: 'attempt-end' }>

const nameOf = ({ attempt, hedge }: Which): string => `${attempt}${hedge ? ' hedge' : ''}`

const namedAs = (which: Which, { attempts }: Trace): Attempt[] =>
  [...attempts].filter(({ name }) => name === nameOf(which))

const SETTER = { set: (headers: Headers, name: string, value: string) => headers.set(name, value) }

function endCall(trace: Trace, event: Extract<HoldfastEvent, { type: 'call-end' }>): void {
  const { attempts, source, uncertain } = event
  endSpan(trace.span, event, {
    'holdfast.attempts': attempts,
    'holdfast.source': source,
    'holdfast.uncertain': uncertain,
  })
  trace.ended = true
}

function endSpan(span: Span | undefined, result: EventResult, attributes: AttributeValues): void {
  if (span === undefined) return
  const own = resultAttributes(result)
  span.setAttributes({ ...attributes, ...definedOf(own) })
  if (own['error.type'] !== undefined) span.setStatus({ code: ERROR })
  span.end()
}

/** The numbers and names that an event carries; never an error, whose message may hold a secret. */
function detailsOf({ type: _, call: __, ...details }: HoldfastEvent): AttributeValues {
  const told: AttributeValues = {}
  for (const [name, value] of Object.entries(details)) {
    if (name === 'error') continue
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string')
      told[name] = value
  }
  return told
}
