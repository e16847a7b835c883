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
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  let hex = ''
  for (const byte of new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))) hex += HEX[byte]
  return hex
}

function digest(bytes: Uint8Array<ArrayBuffer>): string | Promise<string> {
  if (hashAtOnce === undefined) hashAtOnce = findHash()
  if (hashAtOnce === null || bytes.length > AT_ONCE_BYTES) return sha256(bytes)
  return hashAtOnce('sha256', bytes, 'hex')
}

/** Digest of a list of texts and a body. JSON keeps the texts apart, and has no line break of its own. */
export function digestOf(texts: readonly (string | null)[], body?: Uint8Array): string | Promise<string> {
  const head = encoder.encode(`${JSON.stringify(texts)}\n`)
  if (body === undefined || body.length === 0) return digest(head)
  const all = new Uint8Array(head.length + body.length)
  all.set(head)
  all.set(body, head.length)
  return digest(all)
}
