import { systemClock, type Clock } from '../primitives/clock.ts'
import {
  checkCount,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPositive,
  invalidOption,
  oneOf,
  rule,
  unchecked,
  type Rule,
  type Rules,
} from '../primitives/validate.ts'
import { SERVER_DEFAULTS } from './defaults.ts'
import type { OnIdempotencyEvent } from './events.ts'
import type { Fingerprint } from './fingerprint.ts'
import type { KeySyntax } from './key.ts'
import type { ReleaseRule } from './release-rule.ts'
import { checkEncryption, Sealer, type EncryptionOptions } from './sealed.ts'
import type { AbandonedPolicy, IdempotencyStore } from './store.ts'

export interface IdempotencyOptions<Req = Request> {
  /** Where keys are remembered. */
  store: IdempotencyStore
  /**
   * Names the authenticated client: keys of two clients never meet. Mount after authentication. Default: a digest of
   * `Authorization`; where that names nobody, Cookie and X-Api-Key become part of what a key is compared by. The same where
   * it returns `undefined`, for a client without a name.
   */
  scope?: ((request: Req) => string | undefined | Promise<string | undefined>) | undefined
  /** Whether a request without a key is refused (400). Default `false`. */
  required?: boolean | undefined
  /** Which methods are protected. Default POST, PUT, PATCH, DELETE. */
  methods?: readonly string[] | undefined
  /** `'lenient'` takes bare keys too; `'strict'` only structured-field strings (RFC 9651). Default `'lenient'`. */
  syntax?: KeySyntax | undefined
  /** How long a key is remembered, in ms from its acceptance. Default 24 h. */
  ttlMs?: number | undefined
  /** How long a silent owner keeps its key, in ms. Default 30,000; it is renewed at a third of that. */
  leaseMs?: number | undefined
  /** What becomes of a key whose owner went silent. Default `'block'`, with `transactional` `'takeover'`. */
  abandoned?: AbandonedPolicy | undefined
  /** The handler's effects all happen inside `transaction(fn)`, so a lost owner leaves none. Default `false`. */
  transactional?: boolean | undefined
  /** The largest request body, in bytes (413). Default 1 MiB. */
  maxBodyBytes?: number | undefined
  /** The largest response that is kept, in bytes; a larger one is sent, but can't be replayed. Default 1 MiB. */
  maxResponseBytes?: number | undefined
  /** How many keys a client may have at a time (429). Default 100,000. */
  maxKeysPerScope?: number | undefined
  /** How long a request waits for the store, in ms, each time it needs it (503). Default 2000. */
  storeTimeoutMs?: number | undefined
  /**
   * How long `fn` of `transaction(fn)` may take, in ms, and how long the response may take after it. Then nothing is
   * committed, `transaction` rejects with a `TransactionLostError`, and the signal aborts. Default 60,000.
   */
  transactionTimeoutMs?: number | undefined
  /**
   * What a duplicate does while the first request runs: `'reject'` is 409 at once, `'wait'` waits for its response, for
   * `leaseMs` at most. A client that says `Prefer: wait=n` is obeyed in both, for `leaseMs` at most. Default `'reject'`.
   */
  inFlight?: 'reject' | 'wait' | undefined
  /**
   * What of a body makes two requests the same: `'bytes'`, `'canonical-json'` (RFC 8785: order of members and white
   * space do not count; anything but plain JSON is compared by its bytes), or what a function makes of it. Method, path
   * and query always count. Default `'bytes'`.
   */
  fingerprint?: Fingerprint<Req> | undefined
  /** Encrypts stored responses. The first key encrypts, all of them decrypt. Default: stored as they are. */
  encrypt?: EncryptionOptions | undefined
  /** How many duplicates of one request wait in this process; the next one gets 409 at once. Default 100. */
  maxWaitersPerKey?: number | undefined
  /** Overrides which responses give the key back. Not asked once a transaction has committed or rolled back. */
  release?: ReleaseRule | undefined
  /** `deny`: more response headers that replays leave out. */
  headers?: { deny?: readonly string[] } | undefined
  /** Where the API's policy on keys is published; problem documents point to it. */
  policyUrl?: string | undefined
  /** Hears everything that happens. What it throws is swallowed. */
  onEvent?: OnIdempotencyEvent | undefined
  /** Default: the platform's time. */
  clock?: Clock | undefined
  /** Makes owner tokens. Default `crypto.randomUUID`. */
  randomUUID?: (() => string) | undefined
}

/** The options with every default in place, apart from `scope` and `fingerprint`: they depend on the framework. */
export interface Settings {
  readonly store: IdempotencyStore
  readonly required: boolean
  readonly methods: ReadonlySet<string>
  readonly syntax: KeySyntax
  readonly ttlMs: number
  readonly leaseMs: number
  readonly abandoned: AbandonedPolicy
  readonly maxBodyBytes: number
  readonly maxResponseBytes: number
  readonly maxKeysPerScope: number
  readonly storeTimeoutMs: number
  readonly transactionTimeoutMs: number
  readonly inFlight: 'reject' | 'wait'
  readonly maxWaitersPerKey: number
  readonly release: ReleaseRule | undefined
  readonly sealer: Sealer | undefined
  readonly deny: ReadonlySet<string>
  readonly policyUrl: string | undefined
  readonly onEvent: OnIdempotencyEvent | undefined
  readonly clock: Clock
  readonly randomUUID: () => string
}

const checkBoolean: Rule = rule('true or false', (value) => typeof value === 'boolean')

const checkTexts: Rule = rule(
  'a list of names',
  (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'string' && entry !== ''),
)

/** It is sent in a header, between angle brackets, so it must not contain what ends either. */
const checkUrl: Rule = rule(
  'a URL',
  (value) => typeof value === 'string' && /^[\x21\x23-\x3B\x3D\x3F-\x7E]+$/.test(value),
)

const checkFingerprint: Rule = rule(
  '"bytes", "canonical-json" or a function',
  (value) => typeof value === 'function' || value === 'bytes' || value === 'canonical-json',
)

/** Durations that a store keeps are whole milliseconds, hence `checkCount`. */
const RULES: Rules<IdempotencyOptions> = {
  // By `checkStore`, since it is required, and depends on another option.
  store: unchecked,
  scope: checkFunction,
  required: checkBoolean,
  methods: checkTexts,
  syntax: oneOf('lenient', 'strict'),
  ttlMs: checkCount,
  leaseMs: checkCount,
  abandoned: oneOf('block', 'takeover'),
  transactional: checkBoolean,
  maxBodyBytes: checkInteger,
  maxResponseBytes: checkInteger,
  maxKeysPerScope: checkCount,
  storeTimeoutMs: checkPositive,
  transactionTimeoutMs: checkPositive,
  inFlight: oneOf('reject', 'wait'),
  fingerprint: checkFingerprint,
  encrypt: checkEncryption,
  maxWaitersPerKey: checkInteger,
  release: checkFunction,
  headers: (name, value) => checkOptions(name, value, { deny: checkTexts }),
  policyUrl: checkUrl,
  onEvent: checkFunction,
  clock: unchecked,
  randomUUID: checkFunction,
}

/** @throws {HoldfastError} `ERR_INVALID_OPTION` for an unknown option or a value out of range. */
export function resolveOptions<Req>(options: IdempotencyOptions<Req>): Settings {
  checkOptions('idempotency', options, RULES, 'idempotency: ')
  const transactional = options.transactional ?? SERVER_DEFAULTS.transactional
  checkStore(options.store, transactional)
  return {
    store: options.store,
    required: options.required ?? SERVER_DEFAULTS.required,
    methods: new Set((options.methods ?? SERVER_DEFAULTS.methods).map((method) => method.toUpperCase())),
    syntax: options.syntax ?? SERVER_DEFAULTS.syntax,
    ttlMs: options.ttlMs ?? SERVER_DEFAULTS.ttlMs,
    leaseMs: options.leaseMs ?? SERVER_DEFAULTS.leaseMs,
    abandoned: options.abandoned ?? (transactional ? 'takeover' : SERVER_DEFAULTS.abandoned),
    maxBodyBytes: options.maxBodyBytes ?? SERVER_DEFAULTS.maxBodyBytes,
    maxResponseBytes: options.maxResponseBytes ?? SERVER_DEFAULTS.maxResponseBytes,
    maxKeysPerScope: options.maxKeysPerScope ?? SERVER_DEFAULTS.maxKeysPerScope,
    storeTimeoutMs: options.storeTimeoutMs ?? SERVER_DEFAULTS.storeTimeoutMs,
    transactionTimeoutMs: options.transactionTimeoutMs ?? SERVER_DEFAULTS.transactionTimeoutMs,
    inFlight: options.inFlight ?? SERVER_DEFAULTS.inFlight,
    maxWaitersPerKey: options.maxWaitersPerKey ?? SERVER_DEFAULTS.maxWaitersPerKey,
    release: options.release,
    sealer: options.encrypt === undefined ? undefined : new Sealer(options.encrypt),
    deny: new Set((options.headers?.deny ?? []).map((name) => name.toLowerCase())),
    policyUrl: options.policyUrl,
    onEvent: options.onEvent,
    clock: options.clock ?? systemClock,
    randomUUID: options.randomUUID ?? flatUuid,
  }
}

/**
 * Node concatenates a UUID of twenty strings, and a store in this process would keep all of them alive with the key.
 * `toLowerCase` changes no character, but makes V8 flatten them into one (saves 5 of 36 us a request, of collecting).
 */
const flatUuid = (): string => crypto.randomUUID().toLowerCase()

function checkStore(store: unknown, transactional: boolean): void {
  const methods = ['acquire', 'heartbeat', 'complete', 'release', 'read']
  const isStore =
    typeof store === 'object' &&
    store !== null &&
    methods.every((method) => typeof Reflect.get(store, method) === 'function')
  if (!isStore) throw invalidOption('idempotency: store', 'a store, such as memoryStore()', store)
  if (transactional && typeof Reflect.get(store, 'begin') !== 'function') {
    throw invalidOption('idempotency: store', 'one with transactions, since `transactional` is on', store)
  }
}
