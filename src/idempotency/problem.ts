import type { Answer, HeaderLine } from './answer.ts'

/** Why a request was refused; the last part of the problem's `type`, and its `code`. */
export type ProblemCode =
  | 'key-missing'
  | 'key-malformed'
  | 'request-in-flight'
  | 'outcome-unknown'
  | 'response-not-replayable'
  | 'body-too-large'
  | 'key-reused'
  | 'too-many-keys'
  | 'store-unavailable'
  | 'body-unavailable'
  | 'identification-failed'
  | 'handler-failed'

interface ProblemKind {
  readonly status: number
  readonly title: string
  readonly detail: string
}

const PROBLEMS: Readonly<Record<ProblemCode, ProblemKind>> = {
  'key-missing': {
    status: 400,
    title: 'Idempotency-Key is missing',
    detail: 'This operation needs an Idempotency-Key header: a unique value, the same on every retry.',
  },
  'key-malformed': {
    status: 400,
    title: 'Idempotency-Key is malformed',
    detail: 'Send one Idempotency-Key header with 1 to 255 characters, bare or as a quoted string.',
  },
  'request-in-flight': {
    status: 409,
    title: 'A request with this Idempotency-Key is in progress',
    detail: 'The first request has not ended. Send the same request again after the time in Retry-After.',
  },
  'outcome-unknown': {
    status: 409,
    title: 'The outcome of this Idempotency-Key is unknown',
    detail:
      'The first request was cut off. Find out whether it took effect before sending it with a new key.',
  },
  'response-not-replayable': {
    status: 409,
    title: 'The response can not be replayed',
    detail: 'The operation was done, but its response was a stream or too large to keep.',
  },
  'body-too-large': {
    status: 413,
    title: 'The request body is too large',
    detail: 'A request with an Idempotency-Key is compared as a whole, so its size is limited.',
  },
  'key-reused': {
    status: 422,
    title: 'Idempotency-Key was used for another request',
    detail: 'A key belongs to one method, path, query and body. Use a new key for a new operation.',
  },
  'too-many-keys': {
    status: 429,
    title: 'Too many Idempotency-Keys',
    detail: 'This client has as many keys in use as may be kept at a time.',
  },
  'store-unavailable': {
    status: 503,
    title: 'Idempotency can not be guaranteed at the moment',
    detail:
      'The store of keys did not answer, so the operation was not started. Send the same request again.',
  },
  'body-unavailable': {
    status: 500,
    title: 'The request body was read before idempotency could see it',
    detail:
      'Put idempotency() before whatever reads the body, or keep the raw bytes: `rawBody` on the Node request.',
  },
  'identification-failed': {
    status: 500,
    title: 'Internal Server Error',
    detail: 'The server failed to tell whose request this is, so the operation was not started.',
  },
  'handler-failed': {
    status: 500,
    title: 'Internal Server Error',
    detail: 'The operation failed after it had begun. Sending it again will not run it again.',
  },
}

export interface ProblemOptions {
  /** Where the API's policy on keys is published: becomes the problem's `type` and a `Link`. */
  readonly policyUrl?: string | undefined
  /** Instead of the code's own, where an option makes that wrong. */
  readonly detail?: string | undefined
  /** Sent as Retry-After, in whole seconds, rounded up. */
  readonly retryAfterMs?: number | undefined
}

/** Without a published policy the type is a name that says what it is; nobody has to look it up. */
function typeOf(code: ProblemCode, policyUrl: string | undefined): string {
  return policyUrl === undefined ? `urn:holdfast:idempotency:${code}` : `${policyUrl}#${code}`
}

export function problemStatus(code: ProblemCode): number {
  return PROBLEMS[code].status
}

/** A problem document (RFC 9457), for every framework. */
export function problem(code: ProblemCode, options: ProblemOptions = {}): Answer {
  const { status, title } = PROBLEMS[code]
  const { detail = PROBLEMS[code].detail } = options
  const headers: HeaderLine[] = [
    ['content-type', 'application/problem+json'],
    ['cache-control', 'no-store'],
  ]
  if (options.policyUrl !== undefined) headers.push(['link', `<${options.policyUrl}>; rel="describedby"`])
  if (options.retryAfterMs !== undefined) {
    headers.push(['retry-after', String(Math.max(1, Math.ceil(options.retryAfterMs / 1000)))])
  }
  if (code === 'request-in-flight') headers.push(['idempotency-status', 'in-flight'])
  const document = { type: typeOf(code, options.policyUrl), title, status, detail, code }
  return { status, statusText: '', headers, body: new TextEncoder().encode(JSON.stringify(document)) }
}

/** An answer that is recorded, whatever is said of it outside. */
export const asStored = (answer: Answer): Answer => ({
  ...answer,
  headers: [...answer.headers, ['idempotency-status', 'stored']],
})
