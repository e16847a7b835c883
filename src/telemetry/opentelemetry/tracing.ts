import type { ObservedAttempt, Observer } from '../../client/options.ts'
import type { CallInfo, EventResult, HoldfastEvent } from '../../events.ts'
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
  readonly attempts: Map<string, Span>
  /** How many attempts there have been. */
  sent: number
  ended: boolean
}

type Api = Pick<OpenTelemetryApi, 'context' | 'trace' | 'propagation'>

/** A span for each call and, as its children, one for each attempt: by the semantic conventions for HTTP clients. */
export class Tracing implements Required<Observer> {
  readonly #api: Api
  readonly #tracer: Tracer
  readonly #traces = new Map<number, Trace>()

  constructor(api: Api, tracer: Tracer) {
    this.#api = api
    this.#tracer = tracer
  }

  readonly onEvent = (event: HoldfastEvent): void => {
    const { call } = event
    if (call === undefined) return
    if (event.type === 'call-start') this.#traces.set(call.id, this.#begin(call))
    else if (event.type === 'attempt-start' && !this.#traces.has(call.id))
      this.#traces.set(call.id, this.#goOn(event))
    const trace = this.#traces.get(call.id)
    if (trace === undefined) return
    if (event.type === 'attempt-start')
      trace.attempts.set(nameOf(event), this.#beginAttempt(trace, event, call))
    else if (event.type === 'attempt-end') this.#endAttempt(trace, event)
    else if (event.type === 'call-end') endCall(trace, event)
    else if (event.type !== 'call-start' && !trace.ended)
      trace.span?.addEvent(`holdfast.${event.type}`, detailsOf(event))
    // An attempt that others share may outlive the call that it is told for.
    if (trace.ended && trace.attempts.size === 0) this.#traces.delete(call.id)
  }

  readonly onAttempt = (attempt: ObservedAttempt): void => {
    const trace = this.#traces.get(attempt.call.id)
    const span = trace?.attempts.get(nameOf(attempt))
    if (trace === undefined || span === undefined) return
    const context = this.#api.trace.setSpan(trace.context as never, span as never)
    this.#api.propagation.inject(context as never, attempt.headers, SETTER)
  }

  #begin(call: CallInfo): Trace {
    const { name, attributes } = described(call)
    const active = this.#api.context.active()
    const options = { kind: INTERNAL, attributes }
    const span = this.#tracer.startSpan(`holdfast ${name}`, options, active as never)
    const context = this.#api.trace.setSpan(active as never, span as never)
    return { span, context, attempts: new Map(), sent: 0, ended: false }
  }

  /** Others that share its request wait for an attempt of a call that has ended: it belongs to whoever made that. */
  #goOn({ attempt }: Which): Trace {
    const context = this.#api.context.active()
    return { span: undefined, context, attempts: new Map(), sent: attempt - 1, ended: true }
  }

  #beginAttempt(trace: Trace, { hedge }: Which, call: CallInfo): Span {
    const resends = trace.sent++
    const { name, attributes: ofCall } = described(call)
    const attributes = {
      ...ofCall,
      ...(resends > 0 ? { 'http.request.resend_count': resends } : {}),
      ...(hedge ? { 'holdfast.hedge': true } : {}),
    }
    const options = { kind: CLIENT_KIND, attributes }
    return this.#tracer.startSpan(name, options, trace.context as never)
  }

  #endAttempt(trace: Trace, event: Which & EventResult & { readonly replayed?: true }): void {
    const span = trace.attempts.get(nameOf(event))
    trace.attempts.delete(nameOf(event))
    endSpan(span, event, event.replayed ? { 'holdfast.replayed': true } : {})
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

const nameOf = ({ attempt, hedge }: Which): string => `${attempt}${hedge ? ' hedge' : ''}`

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
