import { sha256, sha256AtOnce } from '../primitives/sha256.ts'

/** What tells users apart, besides `identityHeaders`. */
const CREDENTIAL_HEADERS = ['authorization', 'cookie', 'x-api-key', 'proxy-authorization'] as const

/** What a request and a stored response must have in common for one to answer the other. */
export interface RequestIdentity {
  /** Without its fragment. */
  readonly url: string
  readonly headers: Headers
  readonly credentials: RequestCredentials
  /** What `identity()` says; it then stands for all headers that tell users apart. */
  readonly identity: string | undefined
  /** A fetch and an interceptor may share a cache: neither can read what the other has stored. */
  readonly coded: boolean
}

const PREFIX = 'holdfast:cache:'

/**
 * Makes the keys of a store. Secrets enter them hashed (SHA-256). Browsers have WebCrypto on secure pages only: where
 * it is missing, requests that show an identity have no key and so are not cached, and those of all others are plain
 * text.
 */
export class Keys {
  readonly #identityHeaders: readonly string[]

  constructor(identityHeaders: readonly string[]) {
    const names = identityHeaders.map((name) => name.toLowerCase())
    this.#identityHeaders = [...new Set([...CREDENTIAL_HEADERS, ...names])].toSorted()
  }

  ofUrl(url: string): Promise<string> {
    return keyOf('url', [url])
  }

  /** `undefined` where there is an identity that can't be hashed. */
  async ofResponse(
    request: RequestIdentity,
    generation: string,
    vary: readonly string[],
  ): Promise<string | undefined> {
    if (!hasDigest() && this.#showsIdentity(request)) return undefined
    const { url, credentials, headers, identity, coded } = request
    const names = this.#identityHeaders
    const who = identity === undefined ? names.map((name) => [name, headers.get(name)]) : identity
    // One address may serve many sites: which one, its Host says (RFC 9110, 7.1).
    const how = ['host', ...this.#selecting(request, vary)].map((name) => [name, headers.get(name)])
    return keyOf('response', [url, generation, credentials, who, how, ...(coded ? ['coded'] : [])])
  }

  #showsIdentity({ headers, identity }: RequestIdentity): boolean {
    return identity !== undefined || this.#identityHeaders.some((name) => headers.has(name))
  }

  #selecting({ identity }: RequestIdentity, vary: readonly string[]): readonly string[] {
    return identity === undefined ? vary : vary.filter((name) => !this.#identityHeaders.includes(name))
  }
}

const hasDigest = (): boolean => globalThis.crypto?.subtle !== undefined

async function keyOf(kind: string, parts: readonly unknown[]): Promise<string> {
  const text = JSON.stringify(parts)
  if (!hasDigest()) return `${PREFIX}${kind}:${text}`
  const hash = sha256AtOnce()?.(text) ?? (await sha256(new TextEncoder().encode(text)))
  return `${PREFIX}${kind}:${hash}`
}
