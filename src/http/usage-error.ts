import { isStream } from './body.ts'

/**
 * Whether fetch has refused a request as such: a GET with a body, a URL with credentials, a malformed header, a port that
 * it blocks. The platform's own `Request` is asked, and only after a failure, so that calls which work pay nothing. The one
 * message that is read is undici's of a blocked port, which has no code; where the URL names none, a redirect led there.
 */
export function isRefusedByFetch(error: unknown, { href, port }: URL, init: RequestInit): boolean {
  // By name, not class: in Jest the platform's errors are of another realm.
  const { name, cause } = Object(error) as { name?: unknown; cause?: Partial<Error> | null }
  if (name !== 'TypeError') return false
  if (cause?.message === 'bad port') return port !== ''
  const { body = null } = init
  try {
    // A stream must not be touched: what matters is that there is one.
    void new Request(href, { ...init, signal: null, body: isStream(body) ? new ReadableStream() : body })
    return false
  } catch {
    return true
  }
}
