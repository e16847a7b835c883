import { describe, expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { idempotency, type EncryptionKey, type EncryptionOptions, type IdempotencyEvent } from './index.ts'
import { CorruptRecordError } from './record.ts'
import { Sealer } from './sealed.ts'

const keyOf = (id: string, byte: number): EncryptionKey => ({ id, key: new Uint8Array(32).fill(byte) })
const [a, b] = [keyOf('a', 1), keyOf('b', 2)]
const record = { scope: 's', key: 'k', fingerprint: 'f' }
const plain = new TextEncoder().encode('{"a":1}\nbody')

describe('a sealed record', () => {
  test('opens with any of the keys, and is sealed with the first', async () => {
    const sealed = await new Sealer({ keys: [a] }).seal(record, plain)
    expect(await new Sealer({ keys: [b, a] }).open(record, sealed)).toEqual(plain)
    const rotated = await new Sealer({ keys: [b, a] }).seal(record, plain)
    await expect(new Sealer({ keys: [a] }).open(record, rotated)).rejects.toThrow(/unknown key/)
  })

  test('has another nonce each time', async () => {
    const sealer = new Sealer({ keys: [a] })
    expect(await sealer.seal(record, plain)).not.toEqual(await sealer.seal(record, plain))
  })

  test.each([{ scope: 'x' }, { key: 'x' }, { fingerprint: 'x' }])('does not open for %o', async (other) => {
    const sealer = new Sealer({ keys: [a] })
    const sealed = await sealer.seal(record, plain)
    await expect(sealer.open({ ...record, ...other }, sealed)).rejects.toThrow(CorruptRecordError)
  })

  test('does not open when a byte was changed, or when it was cut', async () => {
    const sealer = new Sealer({ keys: [a] })
    const sealed = await sealer.seal(record, plain)
    for (const index of sealed.keys()) {
      const changed = Uint8Array.from(sealed, (byte, at) => (at === index ? byte ^ 1 : byte))
      await expect(sealer.open(record, changed)).rejects.toThrow(CorruptRecordError)
      await expect(sealer.open(record, sealed.subarray(0, index))).rejects.toThrow(CorruptRecordError)
    }
  })

  test('does not open with another key of the same name', async () => {
    const sealed = await new Sealer({ keys: [a] }).seal(record, plain)
    await expect(new Sealer({ keys: [keyOf('a', 3)] }).open(record, sealed)).rejects.toThrow(/another key/)
  })

  test('opens with every later version: it is stored for a day, and longer than a deployment takes', async () => {
    const sealed = Buffer.from('AQQyMDI2BwcHBwcHBwcHBwcH9tGLhjWfzKt79WBJICiZ7yYWLR6hjr2zbVMpfw==', 'base64')
    expect(await new Sealer({ keys: [keyOf('2026', 1)] }).open(record, sealed)).toEqual(plain)
  })

  test('may name its key by 64 characters', async () => {
    const keys = [keyOf('!'.repeat(63) + '~', 1)]
    expect(() => idempotency({ store: memoryStore(), encrypt: { keys } })).not.toThrow()
    const sealer = new Sealer({ keys })
    expect(await sealer.open(record, await sealer.seal(record, plain))).toEqual(plain)
  })

  test('takes keys of WebCrypto, and does not mind what becomes of bytes', async () => {
    const bytes = new Uint8Array(32).fill(1)
    const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
    const sealer = new Sealer({ keys: [{ id: 'a', key: bytes }] })
    bytes.fill(0)
    expect(
      await new Sealer({ keys: [{ id: 'a', key }] }).open(record, await sealer.seal(record, plain)),
    ).toEqual(plain)
  })
})

describe('a service', () => {
  const settings = { on: { encrypt: { keys: [a] } }, off: {}, other: { encrypt: { keys: [b] } } }

  test.each([
    ['on', 'off', 'it is encrypted, and there is no option `encrypt`'],
    ['off', 'on', 'it is not encrypted'],
    ['on', 'other', 'it is encrypted with an unknown key'],
  ] as const)(
    'that had encryption %s and has it %s refuses what is stored',
    async (before, after, reason) => {
      const store = memoryStore()
      const events: IdempotencyEvent[] = []
      const onEvent = (event: IdempotencyEvent): void => void events.push(event)
      const ask = () =>
        new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': 'k' } })
      await idempotency({ store, ...settings[before] })(() => new Response('secret'))(ask())
      const reply = await idempotency({ store, onEvent, ...settings[after] })(() => new Response('ran'))(
        ask(),
      )
      expect(reply.status).toBe(409)
      expect(await reply.text()).toContain('outcome-unknown')
      const error = new CorruptRecordError(reason)
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'store-error', operation: 'decode', error }),
      )
    },
  )
})

describe('a key that can not be used is refused by its kind and length, and never shown', () => {
  const secret = 'correct horse battery staple'
  const bytes = new TextEncoder().encode(secret)
  const webKey = (algorithm: string, length: number, usages: KeyUsage[]): Promise<CryptoKey> =>
    crypto.subtle.importKey('raw', new Uint8Array(length), algorithm, false, usages)
  const first =
    'encrypt.keys[0].key should be 32 bytes, or a CryptoKey for AES-256-GCM that may encrypt and decrypt'

  test.each<[unknown, string]>([
    [secret, 'encrypt should be an object with keys, got a text of 28 characters'],
    [bytes, 'encrypt should be an object with keys, got 28 bytes'],
    [{ keys: secret }, 'encrypt.keys should be a list of keys, got a text of 28 characters'],
    [{ keys: bytes }, 'encrypt.keys should be a list of keys, got 28 bytes'],
    [{ keys: [secret] }, 'encrypt.keys[0] should be an object with id and key, got a text of 28 characters'],
    [{ keys: [bytes] }, 'encrypt.keys[0] should be an object with id and key, got 28 bytes'],
    [{ keys: [[secret]] }, 'encrypt.keys[0] should be an object with id and key, got an array of 1'],
    [{ keys: [null] }, 'encrypt.keys[0] should be an object with id and key, got null'],
    [{ keys: [{ id: `${secret} ${secret}`, key: bytes }] }, 'characters, got a text of 57 characters'],
    [{ keys: [{ id: 'a'.repeat(65), key: bytes }] }, 'characters, got a text of 65 characters'],
    [{ keys: [{ id: 5, key: bytes }] }, 'characters, got a value of type number'],
    [{ keys: [{ id: 'a', key: secret }] }, `${first}, got a text of 28 characters`],
    [{ keys: [{ id: 'a', key: bytes }] }, `${first}, got 28 bytes`],
    [{ keys: [{ id: 'a', key: bytes.buffer }] }, `${first}, got ArrayBuffer of 28 bytes`],
    [{ keys: [{ id: 'a', key: [...bytes] }] }, `${first}, got an array of 28`],
    [{ keys: [{ id: 'a', key: { secret } }] }, `${first}, got a value of type object`],
    [{ keys: [{ id: 'a', key: 12_345_678n }] }, `${first}, got a value of type bigint`],
    [{ keys: [{ id: 'a' }] }, `${first}, got undefined`],
  ])('case %#', (encrypt, message) => {
    let shown = ''
    try {
      idempotency({ store: memoryStore(), encrypt: encrypt as EncryptionOptions })
    } catch (error) {
      shown = String(error)
    }
    expect(shown).toContain(message)
    expect(shown).not.toMatch(/horse|99,111|12345678/)
  })

  test('a key of WebCrypto by what it is for', async () => {
    const refusal = (keys: EncryptionKey[]) => () => idempotency({ store: memoryStore(), encrypt: { keys } })
    const cbc = { id: 'a', key: await webKey('AES-CBC', 32, ['encrypt', 'decrypt']) }
    const short = { id: 'a', key: await webKey('AES-GCM', 16, ['encrypt', 'decrypt']) }
    const blind = { id: 'a', key: await webKey('AES-GCM', 32, ['encrypt']) }
    const reader = { id: 'a', key: await webKey('AES-GCM', 32, ['decrypt']) }
    const derived = { id: 'a', key: await webKey('HKDF', 32, ['deriveBits']) }
    expect(refusal([cbc])).toThrow(
      `${first}, got a CryptoKey for AES-CBC of 256 bits that may encrypt and decrypt`,
    )
    expect(refusal([short])).toThrow('got a CryptoKey for AES-GCM of 128 bits that may encrypt and decrypt')
    expect(refusal([blind])).toThrow('got a CryptoKey for AES-GCM of 256 bits that may encrypt')
    expect(refusal([derived])).toThrow('got a CryptoKey for HKDF that may deriveBits')
    const curve = { name: 'ECDH', namedCurve: 'P-256' }
    const { publicKey } = await crypto.subtle.generateKey(curve, false, ['deriveBits'])
    expect(refusal([{ id: 'a', key: publicKey }])).toThrow('got a CryptoKey for ECDH that may do nothing')
    const usable = { id: 'a', key: await webKey('AES-GCM', 32, ['encrypt', 'decrypt']) }
    expect(refusal([usable])).not.toThrow()
    expect(refusal([reader])).toThrow('got a CryptoKey for AES-GCM of 256 bits that may decrypt')
    expect(refusal([b, reader])).not.toThrow()
    expect(refusal([b, blind])).toThrow('AES-256-GCM that may decrypt, got')
  })
})
