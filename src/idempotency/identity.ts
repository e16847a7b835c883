import { digestOf } from './digest.ts'
import type { FingerprintPayload } from './fingerprint.ts'

/** What the identity of a client and of an operation is read from. */
export interface IdentitySource {
  readonly method: string
  /** Path and query as they were sent, without scheme and host. */
  readonly target: string
  header(name: string): string | undefined
}

/** The scope of requests that carry no credentials. */
const ANONYMOUS = 'anonymous'

/** A header that is empty, a scheme by itself, or with what programs make of a token that is not there. */
const NOBODY = /^(?:(?:basic|bearer)(?:\s+(?:null|undefined))?)?$/i

/** The Authorization header, where it tells its client from others: what many send alike names none of them. */
export function credentialsOf(request: IdentitySource): string | undefined {
  const authorization = request.header('authorization')
  return authorization === undefined || NOBODY.test(authorization) ? undefined : authorization
}

/** A client is taken for its credentials, of which only a digest is kept. */
export function defaultScope(credentials: string | undefined): Promise<string> | string {
  return credentials === undefined ? ANONYMOUS : digestOf([credentials])
}

export function usesBearer(request: IdentitySource): boolean {
  return /^bearer\s/i.test(request.header('authorization') ?? '')
}

/**
 * Digest of the operation: method, path, query, body. Scope and key are in it as well, so that it is unique to a
 * record; the host is not, since one service may answer to several names.
 *
 * Where nothing names the client (`identified` is false), what might tell two apart joins in: somebody else who sends
 * the same key gets a mismatch, never the stored response.
 */
export function fingerprint(
  request: IdentitySource,
  record: { readonly scope: string; readonly key: string },
  identified: boolean,
  payload: FingerprintPayload,
): Promise<string> | string {
  const texts = [...payload.kind, record.scope, record.key, request.method, request.target]
  const tells = identified ? [] : [request.header('cookie') ?? null, request.header('x-api-key') ?? null]
  return digestOf([...texts, ...tells], payload.bytes)
}
