import { describe, expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { SERVER_DEFAULTS } from './defaults.ts'
import { resolveOptions } from './options.ts'

const store = memoryStore()

/** As an untyped caller would: the types refuse most of these. */
function resolve(options: Record<string, unknown>): unknown {
  return resolveOptions({ store, ...options })
}

describe('options', () => {
  test('that are left out, or undefined, have their defaults', () => {
    const expected = {
      required: SERVER_DEFAULTS.required,
      methods: new Set(SERVER_DEFAULTS.methods),
      syntax: SERVER_DEFAULTS.syntax,
      ttlMs: 86_400_000,
      leaseMs: 30_000,
      abandoned: 'block',
      maxBodyBytes: 1_048_576,
      maxResponseBytes: 1_048_576,
      maxKeysPerScope: 100_000,
      storeTimeoutMs: 2000,
      transactionTimeoutMs: 60_000,
      inFlight: 'reject',
      maxWaitersPerKey: 100,
    }
    expect(resolve({})).toMatchObject(expected)
    expect(resolve({ ttlMs: undefined, required: undefined, headers: undefined })).toMatchObject(expected)
  })

  test('make takeover the default where effects happen in transactions', () => {
    const transactional = { ...store, begin: async () => 'stale' as const }
    const own = { ...bound(), ...transactional }
    expect(resolve({ store: own, transactional: true })).toMatchObject({ abandoned: 'takeover' })
    expect(resolve({ store: own, transactional: true, abandoned: 'block' })).toMatchObject({
      abandoned: 'block',
    })
    expect(resolve({ abandoned: 'takeover' })).toMatchObject({ abandoned: 'takeover' })
  })

  test.each([
    [{ store: undefined }, 'idempotency: store should be a store, such as memoryStore(), got undefined'],
    [
      { store: {} },
      'idempotency: store should be a store, such as memoryStore(), got an object with no keys',
    ],
    [
      { transactional: true },
      'idempotency: store should be one with transactions, since `transactional` is on',
    ],
    [{ required: 1 }, 'idempotency: required should be true or false, got 1'],
    [{ transactional: 'yes' }, 'idempotency: transactional should be true or false, got "yes"'],
    [{ methods: 'POST' }, 'idempotency: methods should be a list of names, got "POST"'],
    [{ methods: [''] }, 'idempotency: methods should be a list of names, got an array of 1'],
    [{ syntax: 'loose' }, 'idempotency: syntax should be one of "lenient", "strict", got "loose"'],
    [{ ttlMs: 0 }, 'idempotency: ttlMs should be an integer >= 1, got 0'],
    [{ ttlMs: 0.5 }, 'idempotency: ttlMs should be an integer >= 1, got 0.5'],
    [{ leaseMs: '30s' }, 'idempotency: leaseMs should be an integer >= 1, got "30s"'],
    [{ abandoned: 'rerun' }, 'idempotency: abandoned should be one of "block", "takeover", got "rerun"'],
    [{ maxBodyBytes: -1 }, 'idempotency: maxBodyBytes should be an integer >= 0, got -1'],
    [{ maxResponseBytes: NaN }, 'idempotency: maxResponseBytes should be an integer >= 0, got NaN'],
    [{ maxKeysPerScope: 0 }, 'idempotency: maxKeysPerScope should be an integer >= 1, got 0'],
    [{ storeTimeoutMs: 0 }, 'idempotency: storeTimeoutMs should be a number > 0, got 0'],
    [{ transactionTimeoutMs: -1 }, 'idempotency: transactionTimeoutMs should be a number > 0, got -1'],
    [{ scope: 'me' }, 'idempotency: scope should be a function, got "me"'],
    [{ release: true }, 'idempotency: release should be a function, got true'],
    [{ onEvent: {} }, 'idempotency: onEvent should be a function, got an object with no keys'],
    [{ randomUUID: 'x' }, 'idempotency: randomUUID should be a function, got "x"'],
    [{ headers: { allow: [] } }, 'idempotency: headers has no option "allow"; it has deny'],
    [{ headers: { deny: 'x' } }, 'idempotency: headers.deny should be a list of names, got "x"'],
    [{ policyUrl: 'a b' }, 'idempotency: policyUrl should be a URL, got "a b"'],
    [
      { policyUrl: 'https://a.test/"><x' },
      'idempotency: policyUrl should be a URL, got "https://a.test/\\"><x"',
    ],
    [{ ttl: 5 }, 'idempotency has no option "ttl"'],
    [{ inFlight: 'queue' }, 'idempotency: inFlight should be one of "reject", "wait", got "queue"'],
    [{ encrypt: {} }, 'idempotency: encrypt.keys should be a list of keys, got undefined'],
    [{ encrypt: { keys: [] } }, 'idempotency: encrypt.keys should be a list of keys, got an array of 0'],
    [
      { encrypt: { keys: [{ id: '', key: new Uint8Array(32) }] } },
      'idempotency: encrypt.keys[0].id should be a name of 1 to 64 printable characters, got a text of 0 characters',
    ],
    [
      { encrypt: { keys: [{ id: 'a', key: new Uint8Array(16) }] } },
      'idempotency: encrypt.keys[0].key should be 32 bytes, or a CryptoKey for AES-256-GCM that may encrypt and decrypt, got 16 bytes',
    ],
    [
      { encrypt: { keys: [{ id: 'a', key: 'secret' }] } },
      'CryptoKey for AES-256-GCM that may encrypt and decrypt, got a text of 6 characters',
    ],
    [
      { encrypt: { keys: ['a', 'a'].map((id) => ({ id, key: new Uint8Array(32) })) } },
      'idempotency: encrypt.keys[1].id should be another one than before, got "a"',
    ],
    [
      { fingerprint: 'json' },
      'idempotency: fingerprint should be "bytes", "canonical-json" or a function, got "json"',
    ],
    [{ maxWaitersPerKey: -1 }, 'idempotency: maxWaitersPerKey should be an integer >= 0, got -1'],
  ])('%o are refused, and the message shows the value', (options, message) => {
    expect(() => resolve(options)).toThrow(message)
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
  })

  test.each([null, undefined, [], 'memory', 5])('%o in place of options is refused', (options) => {
    expect(() => resolveOptions(options as never)).toThrow('idempotency should be an object')
  })
})

/** The store's methods, which live on its class. */
function bound(): Record<string, unknown> {
  const methods = ['acquire', 'heartbeat', 'complete', 'release', 'read'] as const
  return Object.fromEntries(methods.map((name) => [name, store[name].bind(store)]))
}
