/** Every library gets the settings that Holdfast has by default, as far as it knows them. */
export const RETRIES = 4
export const BASE_DELAY_MS = 1000
export const MAX_DELAY_MS = 30_000
export const WINDOW_MS = 30_000
export const FAILURE_RATE = 0.5
export const MINIMUM_CALLS = 10
export const OPEN_MS = 5000
export const TIMEOUT_MS = 30_000
export const MAX_CONCURRENT = 10
export const MAX_QUEUED = 100

/** Exponential, for libraries that ask for a function. @param retry 1 for the first */
export const delayBefore = (retry: number): number => Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** (retry - 1))

/** For circuits that must stay open for as long as they are measured. */
export const FOREVER_MS = 3_600_000

/** Statuses that a policy which knows nothing of HTTP has to be told of. */
export const isServerError = (response: unknown): boolean =>
  response instanceof Response && response.status >= 500

/** For libraries that see throws only. */
export async function throwing(response: Promise<Response>): Promise<Response> {
  const settled = await response
  if (isServerError(settled)) throw new Error(`status ${settled.status}`)
  return settled
}
