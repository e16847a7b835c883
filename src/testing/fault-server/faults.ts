import { checkInteger, checkKeys, checkNumber, invalidOption } from '../../primitives/validate.ts'

/** What the server can do to a request. `none` serves it as it is. */
export type FaultKind =
  | 'none'
  | 'latency'
  | 'status'
  | 'status-after'
  | 'reset'
  | 'reset-after'
  | 'hang'
  | 'hang-after'
  | 'truncate'
  | 'stall'
  | 'endless'

interface Delayed {
  /** Waits this long before anything else happens. */
  readonly delayMs?: number
}

interface PlainFault extends Delayed {
  readonly kind: 'none' | 'latency' | 'reset' | 'reset-after' | 'hang' | 'hang-after'
}

interface Answer extends Delayed {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

export interface StatusFault extends Answer {
  readonly kind: 'status' | 'status-after'
}

export interface CutFault extends Delayed {
  readonly kind: 'truncate' | 'stall'
  /** How much of the body is sent; `undefined` is half of it. */
  readonly afterBytes: number | undefined
}

export interface EndlessFault extends Answer {
  readonly kind: 'endless'
  readonly intervalMs: number
}

/** One thing that happens to one request. Made by `ok()`, `status()`, `reset()` and their kin. */
export type Fault = PlainFault | StatusFault | CutFault | EndlessFault

export interface AnswerOptions {
  /** Default: a line of text that names the status. */
  body?: string | Uint8Array
  headers?: Readonly<Record<string, string>>
  /** Sets `Retry-After`: seconds, or an HTTP-date as text. */
  retryAfter?: number | string
}

const ANSWER_KEYS = ['body', 'headers', 'retryAfter']

function answer(
  name: string,
  status: number,
  options: AnswerOptions,
  others: readonly string[] = [],
): Answer {
  checkKeys(name, options, [...ANSWER_KEYS, ...others])
  checkInteger('status', status, 200)
  if (status > 599) throw invalidOption('status', 'an integer in [200, 599]', status)
  const { retryAfter } = options
  if (typeof retryAfter === 'number') checkNumber('retryAfter', retryAfter)
  return {
    status,
    headers: {
      'content-type': 'text/plain',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      ...options.headers,
    },
    body: options.body ?? `${status}, on purpose\n`,
  }
}

/** No fault: the request is served. */
export const ok = (): Fault => ({ kind: 'none' })

/**
 * Answers with `status`; the handler does not run.
 *
 * @throws HoldfastError `ERR_INVALID_OPTION` for a status outside [200, 599].
 * @example status(503, { retryAfter: 2 })
 */
export function status(status: number, options: AnswerOptions = {}): Fault {
  return { kind: 'status', ...answer('status', status, options) }
}

/** The handler runs, but a gateway in front of it answers `status`: the effect has happened, the client can't know. */
export function statusAfter(status: number, options: AnswerOptions = {}): Fault {
  return { kind: 'status-after', ...answer('statusAfter', status, options) }
}

/** Resets the connection as soon as the request's headers are there; the handler does not run. */
export const reset = (): Fault => ({ kind: 'reset' })

/** The handler runs to its end, then the connection is reset instead of an answer: lost after the effect. */
export const resetAfter = (): Fault => ({ kind: 'reset-after' })

/** Never answers, and the handler does not run. The connection stays open until the client or the server closes it. */
export const hang = (): Fault => ({ kind: 'hang' })

/** The handler runs to its end, but its answer is never sent. The connection stays open. */
export const hangAfter = (): Fault => ({ kind: 'hang-after' })

/**
 * Waits `delayMs` before the request is served, or before another fault strikes. A client that leaves meanwhile takes
 * its request along: the handler does not run.
 *
 * @example latency(500, resetAfter())
 */
export function latency(delayMs: number, then?: Fault): Fault {
  checkNumber('delayMs', delayMs)
  return then === undefined
    ? { kind: 'latency', delayMs }
    : { ...then, delayMs: delayMs + (then.delayMs ?? 0) }
}

export interface CutOptions {
  /** How many bytes of the body are sent. Default: half of it. */
  afterBytes?: number
}

function cut(kind: CutFault['kind'], options: CutOptions): Fault {
  checkKeys(kind, options, ['afterBytes'])
  if (options.afterBytes !== undefined) checkInteger('afterBytes', options.afterBytes)
  return { kind, afterBytes: options.afterBytes }
}

/** The handler's body is promised in full (`Content-Length`) and cut mid-way: the connection closes. */
export const truncate = (options: CutOptions = {}): Fault => cut('truncate', options)

/** The handler's body is promised in full, sent in part, and then nothing more comes; the connection stays open. */
export const stall = (options: CutOptions = {}): Fault => cut('stall', options)

export interface EndlessOptions extends AnswerOptions {
  /** Default 200. */
  status?: number
  /** Time between two pieces of the body, in ms. Default 100. */
  intervalMs?: number
}

/** A body that never ends: `body` again and again. The handler does not run. */
export function endless(options: EndlessOptions = {}): Fault {
  const { intervalMs = 100, status = 200 } = options
  checkNumber('intervalMs', intervalMs)
  return { kind: 'endless', intervalMs, ...answer('endless', status, options, ['status', 'intervalMs']) }
}

/**
 * The same fault for several requests in a row.
 *
 * @example faults: [times(3, status(503)), ok()]
 */
export function times(count: number, fault: Fault): Fault[] {
  checkInteger('count', count)
  return Array.from({ length: count }, () => fault)
}
