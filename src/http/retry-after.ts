/** `Retry-After: 120` (RFC 9110, 10.2.3). */
const SECONDS = /^\d+$/

/** Azure's and OpenAI's finer header. */
const MILLISECONDS = /^\d+(\.\d+)?$/

/** An HTTP-date names its month, a malformed number does not: `Date.parse` alone would read "-1" as a year. */
const HTTP_DATE = /^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/

/**
 * How long a response asks to wait, in ms; `undefined` when it does not say, or says nothing well-formed. A date is
 * read against the response's own `Date`, so that a wrong clock on either side does not matter.
 */
export function retryAfterMs(headers: Headers, wallNowMs: number): number | undefined {
  // undici leaves the spaces around a value that came over the wire.
  const read = (name: string): string => headers.get(name)?.trim() ?? ''
  const fine = read('retry-after-ms')
  if (MILLISECONDS.test(fine)) return Number(fine)
  const value = read('retry-after')
  if (SECONDS.test(value)) return Number(value) * 1000
  const dateMs = httpDate(value)
  if (dateMs === undefined) return undefined
  return Math.max(0, dateMs - (httpDate(read('date')) ?? wallNowMs))
}

function httpDate(value: string): number | undefined {
  if (!HTTP_DATE.test(value)) return undefined
  // The old asctime form names no zone; all HTTP-dates are in UTC.
  const ms = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(ms) ? undefined : ms
}
