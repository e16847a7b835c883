import { isHoldfastError, type HoldfastFetch } from '../../../index.ts'

/** Sends until there is a definite answer: what fails is parked, then sent again with the same key. */
export async function parkAndResend(
  fetch: HoldfastFetch,
  url: string,
  init: RequestInit,
  park: (waitMs: number) => Promise<void>,
): Promise<Response> {
  const idempotencyKey = crypto.randomUUID()
  for (;;) {
    const sent = fetch(url, { ...init, holdfast: { idempotencyKey } })
    const result = await sent.catch((error: unknown) => error)
    if (result instanceof Response && result.status < 500) return result
    if (result instanceof Response) await result.body?.cancel()
    await park(comeAgainMs(result))
  }
}

/** When the failure says to come again: an open circuit's test request, a Retry-After in seconds, else in a second. */
function comeAgainMs(result: unknown): number {
  if (isHoldfastError(result) && 'retryAfterMs' in result) return Number(result.retryAfterMs)
  const seconds = result instanceof Response ? Number(result.headers.get('retry-after')) : 0
  return seconds > 0 ? seconds * 1000 : 1000
}
