/**
 * Frees what a response that nobody will read still holds: an undrained body keeps its socket. Not awaited: a body
 * that never ends would never let go.
 */
export function discard(response: Response): void {
  // A mock may have resolved with anything, and that too late for anybody to hear of it.
  const body = (response as Response | undefined)?.body
  if (isNoBody(body) || body.locked) return
  body.cancel().catch(() => {})
}

/** React Native's responses have text, but no stream of it. */
export const isNoBody = (body: Response['body'] | undefined): body is null | undefined =>
  body === null || body === undefined

/** The same for a policy that knows nothing of what it lets go; here that is always a response. */
export const discardResult = (response: unknown): void => discard(response as Response)
