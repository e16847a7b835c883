import { concat } from './bytes.ts'

const encoder = new TextEncoder()
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Up to here hashing at once is quicker than asking another thread to do it, and blocks for 40 us at most. */
const AT_ONCE_BYTES = 65_536

type HashAtOnce = (algorithm: string, bytes: Uint8Array, encoding: 'hex') => string

interface Runtime {
  readonly process?: { getBuiltinModule?(name: string): { readonly hash?: HashAtOnce } | undefined }
}

/** Node's own hash, asked for at first use: WebCrypto takes 35 us for what takes this one half of a microsecond. */
let hashAtOnce: HashAtOnce | null | undefined

function findHash(): HashAtOnce | null {
  const runtime: Runtime = globalThis
  return runtime.process?.getBuiltinModule?.('node:crypto')?.hash ?? null
}

/** SHA-256 in hex, through WebCrypto: it is there on every runtime. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  let hex = ''
  // The platform's types refuse shared memory, which nothing here is backed by.
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  for (const byte of new Uint8Array(digest)) hex += HEX[byte]
  return hex
}

/** Made when it is first needed. What is hashed at once is put together here: memory of its own took 0.7 of 1.9 us. */
let scratch: Uint8Array<ArrayBuffer> | undefined

/** Digest of a list of texts and a body. JSON keeps the texts apart, and has no line break of its own. */
export function digestOf(texts: readonly (string | null)[], body?: Uint8Array): string | Promise<string> {
  const head = `${JSON.stringify(texts)}\n`
  if (hashAtOnce === undefined) hashAtOnce = findHash()
  const bodyBytes = body?.length ?? 0
  // A character has three bytes at most.
  if (hashAtOnce === null || 3 * head.length + bodyBytes > AT_ONCE_BYTES) {
    return sha256(concat([encoder.encode(head), body ?? new Uint8Array()]))
  }
  scratch ??= new Uint8Array(AT_ONCE_BYTES)
  const headBytes = encoder.encodeInto(head, scratch).written
  if (body !== undefined) scratch.set(body, headBytes)
  return hashAtOnce('sha256', scratch.subarray(0, headBytes + bodyBytes), 'hex')
}
