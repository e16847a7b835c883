import { canonicalJson } from './canonical.ts'

/**
 * What of a body makes two requests the same: its bytes, its JSON whatever its order and white space, or what a
 * function makes of it.
 */
export type Fingerprint<Req> =
  | 'bytes'
  | 'canonical-json'
  | ((request: Req, body: Uint8Array) => string | Uint8Array | Promise<string | Uint8Array>)

/** What stands for a body. Payloads of different kinds are never the same. */
export interface FingerprintPayload {
  readonly kind: readonly string[]
  readonly bytes?: Uint8Array
}

const BYTES = ['1']
const encoder = new TextEncoder()

export function payloadOf<Req>(
  how: Fingerprint<Req>,
  request: { readonly source: Req; header(name: string): string | undefined },
  body: Uint8Array,
): FingerprintPayload | Promise<FingerprintPayload> {
  if (how === 'bytes') return { kind: BYTES, bytes: body }
  if (how === 'canonical-json') {
    const text = canonicalJson(body, request.header('content-type'))
    return text === undefined ? { kind: BYTES, bytes: body } : { kind: ['jcs'], bytes: encoder.encode(text) }
  }
  return selected(how(request.source, body))
}

async function selected(choice: unknown): Promise<FingerprintPayload> {
  const payload: unknown = await choice
  if (payload instanceof Uint8Array) return { kind: ['own bytes'], bytes: payload }
  // Not encoded: that would make the same of all halves of surrogate pairs.
  if (typeof payload === 'string') return { kind: ['own text', payload] }
  throw new TypeError('idempotency: fingerprint(request, body) should return a string or a Uint8Array')
}
