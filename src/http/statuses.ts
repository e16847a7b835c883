import { invalidOption, rule } from '../primitives/validate.ts'

/** A status, or a whole class of them. */
export type StatusPattern = number | '1xx' | '2xx' | '3xx' | '4xx' | '5xx'

/** Refused by definition: the server says that it has not processed the request (RFC 8470, RFC 6585). */
export const isRefused = (status: number): boolean => status === 425 || status === 429

/** Says nothing of the service's health: the client was slow, early or too frequent. */
export const isNeutral = (status: number): boolean => status === 408 || isRefused(status)

const checkStatus = rule('a status from 100 to 599 or a class like "5xx"', (pattern) =>
  typeof pattern === 'string'
    ? /^[1-5]xx$/.test(pattern)
    : Number.isInteger(pattern) && Number(pattern) >= 100 && Number(pattern) <= 599,
)

export function checkStatuses(name: string, patterns: unknown): void {
  if (!Array.isArray(patterns))
    throw invalidOption(name, 'an array of statuses and classes like "5xx"', patterns)
  for (const pattern of patterns) checkStatus(`each of ${name}`, pattern)
}

/** A test for the statuses of a list. Classes are kept as negative numbers: to make "2xx" of a 200 takes 100 ns. */
export function statusMatcher(patterns: readonly StatusPattern[]): (status: number) => boolean {
  const listed = new Set(
    patterns.map((pattern) => (typeof pattern === 'number' ? pattern : -Number(pattern[0]))),
  )
  return (status) => listed.has(status) || listed.has(-Math.floor(status / 100))
}
