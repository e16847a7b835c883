/** Every error that Holdfast itself makes has one of these; they are stable. */
export type ErrorCode =
  | 'ERR_CIRCUIT_OPEN'
  | 'ERR_ATTEMPT_TIMEOUT'
  | 'ERR_TOTAL_TIMEOUT'
  | 'ERR_BODY_IDLE_TIMEOUT'
  | 'ERR_BODY_LENGTH'
  | 'ERR_BULKHEAD_FULL'
  | 'ERR_THROTTLED'
  | 'ERR_RATE_LIMITED'
  | 'ERR_INVALID_OPTION'

/** The base of all errors of the client half. A transport's own error and a caller's abort reason are never wrapped. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** The brand: a property, not `instanceof`, so that two copies of the package know each other's errors. */
  get isHoldfastError(): true {
    return true
  }
}

/**
 * Has the place of `HoldfastError` in a chain of prototypes, and none of what `Error` does when it is called: to capture
 * a stack costs 5 us, a multiple of what else it costs to refuse a call.
 */
function Stackless(): void {}
Stackless.prototype = HoldfastError.prototype
const WithoutStack = Stackless as unknown as new () => HoldfastError

/**
 * Refused on this side, without an attempt. It has no stack trace, since it tells of a state and of no place in the
 * code: its `stack` is the line that a trace begins with.
 */
export class RefusedError extends WithoutStack {
  override readonly name: string
  override readonly code: ErrorCode
  /** What shares the circuit, the limit or the quota: for `createFetch` the origin, unless `circuitBreaker.key` differs. */
  readonly key: string

  constructor(name: string, code: ErrorCode, key: string, message: string, options?: ErrorOptions) {
    super()
    this.name = name
    this.code = code
    this.key = key
    this.message = message
    if (options !== undefined) Object.assign(this, options)
    // Its own and hidden, as any error's: Node's report of an unhandled rejection goes by it.
    const value = `${name}: ${message}`
    Object.defineProperty(this, 'stack', { value, writable: true, configurable: true })
  }
}

/** Rejected without an attempt, since the circuit is open (or isolated by hand). */
export class CircuitOpenError extends RefusedError {
  /** When to come again: milliseconds until a test request is due; of an isolated circuit nobody knows, so `openMs`. */
  readonly retryAfterMs: number

  constructor(key: string, retryAfterMs: number, options?: ErrorOptions) {
    super(
      'CircuitOpenError',
      'ERR_CIRCUIT_OPEN',
      key,
      `circuit "${key}" is open, come again in ${Math.ceil(retryAfterMs)} ms`,
      options,
    )
    this.retryAfterMs = retryAfterMs
  }
}

type TimeoutCode = 'ERR_ATTEMPT_TIMEOUT' | 'ERR_TOTAL_TIMEOUT' | 'ERR_BODY_IDLE_TIMEOUT'

/** Named as the platform names its own (`AbortSignal.timeout`), so existing checks of `error.name` keep working. */
export class TimeoutError extends HoldfastError {
  override readonly name = 'TimeoutError'
  readonly timeoutMs: number

  constructor(code: TimeoutCode, message: string, timeoutMs: number, options?: ErrorOptions) {
    super(code, message, options)
    this.timeoutMs = timeoutMs
  }
}

/** Whether `value` is an error of Holdfast, whichever copy or realm made it. */
export function isHoldfastError(value: unknown): value is HoldfastError {
  return (
    typeof value === 'object' && value !== null && (value as Partial<HoldfastError>).isHoldfastError === true
  )
}

const LOCAL_REJECTIONS: ReadonlySet<ErrorCode> = new Set([
  'ERR_CIRCUIT_OPEN',
  'ERR_BULKHEAD_FULL',
  'ERR_THROTTLED',
  'ERR_RATE_LIMITED',
])

/**
 * Whether `value` says that an attempt was refused on this side and nothing was sent: it is no news of the service, and
 * trying again would only ask the same policy again.
 */
export function isLocalRejection(value: unknown): value is HoldfastError {
  return isHoldfastError(value) && LOCAL_REJECTIONS.has(value.code)
}
