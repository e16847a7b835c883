const encoder = new TextEncoder()
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** SHA-256 in hex, through WebCrypto: it is there on every runtime. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  let hex = ''
  for (const byte of new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))) hex += HEX[byte]
  return hex
}

/** Digest of a list of texts and a body. JSON keeps the texts apart, and has no line break of its own. */
export function digestOf(texts: readonly (string | null)[], body?: Uint8Array): Promise<string> {
  const head = encoder.encode(`${JSON.stringify(texts)}\n`)
  if (body === undefined || body.length === 0) return sha256(head)
  const all = new Uint8Array(head.length + body.length)
  all.set(head)
  all.set(body, head.length)
  return sha256(all)
}
