/**
 * Frees what a response that nobody will read still holds: an undrained body keeps its socket. Not awaited: a body
 * that never ends would never let go.
 */
export function discard(response: Response): void {
  const { body } = response
  if (body === null || body === undefined || body.locked) return
  body.cancel().catch(() => {})
}

/** The same for a policy that knows nothing of what it lets go; here that is always a response. */
export const discardResult = (response: unknown): void => discard(response as Response)
