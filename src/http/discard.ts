/**
 * Frees what a response that nobody will read still holds: an undrained body keeps its socket. Not awaited: a body
 * that never ends would never let go.
 */
export function discard(response: Response): void {
  // A mock may have resolved with anything, and that too late for anybody to hear of it.
  const body = (response as AnyResponse | undefined)?.body
  if (isNoStream(body)) body?.resume?.()
  else if (!body.locked) body.cancel().catch(() => {})
}

/**
 * What is no stream of the platform's: React Native's responses have text, but no stream of it; those of node-fetch have
 * one of Node's, which lets its socket go when it has flowed to its end, and in version 2 only then.
 */
type NoStream = { readonly getReader?: undefined; resume?(): void } | null | undefined

interface AnyResponse {
  readonly body: Response['body'] | NoStream
}

export const isNoStream = (body: Response['body'] | NoStream): body is NoStream =>
  typeof body?.getReader !== 'function'

/** The same for a policy that knows nothing of what it lets go; here that is always a response. */
export const discardResult = discard as (response: unknown) => void
