import type { HeaderLine } from './answer.ts'

/** Names, and beginnings of names, of headers that belong to one exchange and not to the operation. */
const NEVER_STORED = new Set([
  // The body is framed anew, and the date is the replay's own.
  'content-length',
  'date',
  'set-cookie',
  // Hop by hop (RFC 9110, 7.6.1).
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // One trace, one request.
  'traceparent',
  'tracestate',
  'request-id',
  'x-request-id',
  'x-correlation-id',
  'x-trace-id',
  'x-amzn-requestid',
  'x-amzn-trace-id',
  'server-timing',
  'age',
  // Set anew on every replay.
  'cache-control',
  'idempotent-replayed',
  'idempotency-status',
])
const NEVER_STORED_PREFIXES = ['access-control-', 'ratelimit', 'x-ratelimit', 'x-rate-limit']

/** Which of a response's headers a replay has too. `deny` are the application's own exceptions. */
export function storableHeaders(lines: readonly HeaderLine[], deny: ReadonlySet<string>): HeaderLine[] {
  const named = new Set<string>()
  for (const [name, value] of lines) {
    // Whatever Connection lists is hop-by-hop as well.
    if (name.toLowerCase() === 'connection')
      for (const option of value.split(',')) named.add(option.trim().toLowerCase())
  }
  return lines.filter(([name]) => {
    const lower = name.toLowerCase()
    if (NEVER_STORED.has(lower) || deny.has(lower) || named.has(lower)) return false
    return !NEVER_STORED_PREFIXES.some((prefix) => lower.startsWith(prefix))
  })
}

/** What a CORS configuration has to name for browsers to send keys and to see how they fared. */
export const CORS_HEADERS = {
  allow: ['Idempotency-Key'],
  expose: ['Idempotent-Replayed', 'Idempotency-Status', 'Retry-After'],
} as const
