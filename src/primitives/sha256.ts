import { builtin } from './builtin.ts'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** In hex. */
type HashAtOnce = (data: string | Uint8Array) => string

interface NodeCrypto {
  hash(algorithm: string, data: string | Uint8Array, encoding: 'hex'): string
}

/** Asked for at first use. */
let atOnce: HashAtOnce | null | undefined

/**
 * Node's own SHA-256, which needs no other thread: WebCrypto takes 35 us for what takes this one half of a microsecond.
 * `null` where there is none.
 */
export function sha256AtOnce(): HashAtOnce | null {
  if (atOnce === undefined) {
    const hash = builtin<NodeCrypto>('crypto')?.hash
    atOnce = hash === undefined ? null : (data) => hash('sha256', data, 'hex')
  }
  return atOnce
}

/** SHA-256 in hex, through WebCrypto: it is there on every runtime, but for pages that are not secure. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  let hex = ''
  // The platform's types refuse shared memory, which nothing here is backed by.
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  for (const byte of new Uint8Array(digest)) hex += HEX[byte]
  return hex
}
