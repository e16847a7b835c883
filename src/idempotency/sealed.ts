import { HoldfastError } from '../primitives/errors.ts'
import { checkKeys, invalidOption } from '../primitives/validate.ts'
import { CorruptRecordError } from './record.ts'
import type { Lease } from './store.ts'

/** A `CryptoKey`; TypeScript knows it by that name only where it knows browsers. */
type WebKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

/** One of the keys that stored responses are encrypted with. */
export interface EncryptionKey {
  /** Stored in clear with each response, to find the key again. 1 to 64 characters. */
  readonly id: string
  /** 32 bytes, or a key of WebCrypto for AES-256-GCM. */
  readonly key: Uint8Array | WebKey
}

export interface EncryptionOptions {
  /** The first one encrypts, all of them decrypt. */
  readonly keys: readonly EncryptionKey[]
}

type RecordIdentity = Pick<Lease, 'scope' | 'key' | 'fingerprint'>

/** No JSON begins with it, so nobody takes a plain record for an encrypted one, or the other way round. */
const VERSION = 1
const NONCE_BYTES = 12
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Encrypts records with AES-256-GCM: version, length of the key's name, name, nonce, ciphertext and tag. */
export class Sealer {
  readonly #keys: ReadonlyMap<string, () => Promise<WebKey>>
  readonly #current: string

  constructor({ keys }: EncryptionOptions) {
    this.#keys = new Map(keys.map(({ id, key }) => [id, imported(key)]))
    this.#current = keys[0]?.id ?? ''
  }

  async seal(record: RecordIdentity, plain: Uint8Array): Promise<Uint8Array> {
    const id = encoder.encode(this.#current)
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
    const key = await this.#key(this.#current)
    const sealed = new Uint8Array(
      await crypto.subtle.encrypt(parameters(nonce, record, this.#current), key, own(plain)),
    )
    const envelope = new Uint8Array(2 + id.length + NONCE_BYTES + sealed.length)
    envelope.set([VERSION, id.length])
    envelope.set(id, 2)
    envelope.set(nonce, 2 + id.length)
    envelope.set(sealed, 2 + id.length + NONCE_BYTES)
    return envelope
  }

  /** @throws for what was not sealed for this very record with one of the keys */
  async open(record: RecordIdentity, envelope: Uint8Array): Promise<Uint8Array> {
    if (!isSealed(envelope)) throw new CorruptRecordError('it is not encrypted')
    const nonceAt = 2 + (envelope[1] ?? 0)
    const id = decoder.decode(envelope.subarray(2, nonceAt))
    const nonce = own(envelope.subarray(nonceAt, nonceAt + NONCE_BYTES))
    const sealed = own(envelope.subarray(nonceAt + NONCE_BYTES))
    const key = await this.#key(id)
    try {
      return new Uint8Array(await crypto.subtle.decrypt(parameters(nonce, record, id), key, sealed))
    } catch {
      throw new CorruptRecordError('it was not encrypted for this record, or with another key')
    }
  }

  async #key(id: string): Promise<WebKey> {
    const key = this.#keys.get(id)
    if (key === undefined) throw new CorruptRecordError('it is encrypted with an unknown key')
    return key()
  }
}

export function isSealed(bytes: Uint8Array): boolean {
  return bytes[0] === VERSION
}

/** @throws {HoldfastError} `ERR_INVALID_OPTION`; no message shows what may be a key, wherever it was put by mistake. */
export function checkEncryption(name: string, value: unknown): void {
  checkObject(name, value, ['keys'])
  const keys: unknown = Reflect.get(Object(value), 'keys')
  if (!Array.isArray(keys) || keys.length === 0) throw refused(`${name}.keys`, 'a list of keys', keys)
  const ids = new Set<string>()
  for (const [index, entry] of keys.entries()) {
    const at = `${name}.keys[${index}]`
    checkObject(at, entry, ['id', 'key'])
    const id: unknown = Reflect.get(Object(entry), 'id')
    if (typeof id !== 'string' || !/^[\x21-\x7E]{1,64}$/.test(id))
      throw refused(`${at}.id`, 'a name of 1 to 64 printable characters', id)
    // A name that another key has, too, is one: it is stored in clear.
    if (ids.has(id)) throw invalidOption(`${at}.id`, 'another one than before', id)
    ids.add(id)
    checkKey(`${at}.key`, Reflect.get(Object(entry), 'key'), index === 0)
  }
}

function checkObject(name: string, value: unknown, known: readonly string[]): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject || isBinary(value) || isCryptoKey(value)) {
    throw refused(name, `an object with ${known.join(' and ')}`, value)
  }
  checkKeys(name, value, known)
}

function checkKey(name: string, key: unknown, encrypts: boolean): void {
  if (key instanceof Uint8Array ? key.length === 32 : isUsable(key, encrypts)) return
  const uses = encrypts ? 'encrypt and decrypt' : 'decrypt'
  throw refused(name, `32 bytes, or a CryptoKey for AES-256-GCM that may ${uses}`, key)
}

const refused = (name: string, expected: string, got: unknown): HoldfastError =>
  new HoldfastError('ERR_INVALID_OPTION', `${name} should be ${expected}, got ${kindOf(got)}`)

/** What a value is and how long, and nothing of what is in it. */
function kindOf(value: unknown): string {
  if (typeof value === 'string') return `a text of ${value.length} characters`
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (isBinary(value)) return `${kindName(value)} of ${value.byteLength} bytes`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (isCryptoKey(value)) {
    const { name } = value.algorithm
    const bits: unknown = Reflect.get(value.algorithm, 'length')
    const size = typeof bits === 'number' ? ` of ${bits} bits` : ''
    return `a CryptoKey for ${name}${size} that may ${value.usages.join(' and ') || 'do nothing'}`
  }
  if (value === undefined || value === null) return String(value)
  return `a value of type ${typeof value}`
}

const isBinary = (value: unknown): value is ArrayBuffer | ArrayBufferView =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value)

const kindName = (value: object): string => Object.prototype.toString.call(value).slice(8, -1)

function isUsable(key: unknown, encrypts: boolean): boolean {
  if (!isCryptoKey(key)) return false
  const { algorithm, usages } = key
  const isAes = algorithm.name === 'AES-GCM' && Reflect.get(algorithm, 'length') === 256
  return isAes && usages.includes('decrypt') && (!encrypts || usages.includes('encrypt'))
}

const isCryptoKey = (key: unknown): key is WebKey =>
  typeof key === 'object' && key !== null && 'algorithm' in key && 'usages' in key

/** At first use, since it takes a promise; from a copy, since the application may wipe its own. */
function imported(key: Uint8Array | WebKey): () => Promise<WebKey> {
  if (!(key instanceof Uint8Array)) return () => Promise.resolve(key)
  const bytes = own(key)
  let made: Promise<WebKey> | undefined
  return () => (made ??= crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']))
}

/** What an envelope belongs to is proven with it: moved to another record it does not open. */
function parameters(iv: Uint8Array<ArrayBuffer>, record: RecordIdentity, id: string): AesGcmParams {
  const { scope, key, fingerprint } = record
  const additionalData = encoder.encode(JSON.stringify(['holdfast', VERSION, id, scope, key, fingerprint]))
  return { name: 'AES-GCM', iv, additionalData }
}

const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)
