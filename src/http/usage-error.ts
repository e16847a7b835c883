import { isStream } from './body.ts'

/**
 * Whether a request could not be built at all: a GET with a body, a URL with credentials, a malformed header. The
 * platform's own `Request` is asked, and only after a failure, so that calls which work pay nothing and no message is
 * ever read.
 */
export function cannotBeBuilt(url: string, init: RequestInit): boolean {
  const { body, signal: _signal, ...rest } = init
  // What matters is which kind of body there is; the real one may be a stream that must not be touched.
  const placeholder =
    body === null || body === undefined ? {} : { body: isStream(body) ? new ReadableStream() : '' }
  try {
    void new Request(url, { ...rest, ...placeholder })
    return false
  } catch (error) {
    return error instanceof TypeError
  }
}
