/** Stores against the rules of their interface, in orders of calls that nobody has thought of. */
import { afterAll, describe, expect, test } from 'vitest'
import type { AcquireRequest, IdempotencyStore } from '../../src/idempotency/store.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { releaseStores, storeKinds, type DisposableStore } from '../conformance/stores-under-test.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { Reference } from './reference.ts'

afterAll(releaseStores)

testServersAreThere()

const OWNERS = ['a', 'b', 'c', 'd'] as const
/** Of an owner, as a process has it; so short beside the steps that every order of ends comes by. */
const LEASES_MS = { a: 50, b: 100, c: 100, d: 200 } as const

/** One order of calls: what is next depends on the seed alone. */
class Order {
  readonly #random: () => number
  readonly #store: IdempotencyStore
  readonly #advance: DisposableStore['advance']
  readonly #rules = new Reference()
  readonly #said: string[] = []
  readonly #maxKeysPerScope: number

  constructor(seed: number, { store, advance }: DisposableStore) {
    this.#random = seededRandom(seed)
    this.#store = store
    this.#advance = advance
    this.#maxKeysPerScope = this.#pick([2, 3, 100])
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const call = this.#pick([
        'acquire',
        'acquire',
        'acquire',
        'heartbeat',
        'complete',
        'release',
        'read',
        'wait',
        'begin',
      ] as const)
      const request = this.#request()
      if (call === 'wait') await this.#wait()
      else if (call === 'acquire') await this.#acquire(request)
      else if (call === 'read') await this.#read(request)
      else if (call === 'begin') await this.#transact(request)
      else await this.#own(call, request)
    }
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)] as T
  }

  #request(): AcquireRequest {
    const owner = this.#pick(OWNERS)
    return {
      scope: this.#pick(['s', 't']),
      key: this.#pick(['1', '2', '3', '4']),
      fingerprint: this.#pick(['f', 'f', 'f', 'g']),
      owner,
      leaseMs: LEASES_MS[owner],
      ttlMs: this.#pick([1, 100, 300, 1000]),
      abandoned: this.#pick(['block', 'takeover']),
      maxKeysPerScope: this.#maxKeysPerScope,
    }
  }

  async #wait(): Promise<void> {
    const ms = this.#pick([1, 49, 50, 51, 100, 200, 999])
    await this.#advance(ms)
    this.#rules.nowMs += ms
    this.#said.push(`${ms} ms`)
  }

  async #acquire(request: AcquireRequest): Promise<void> {
    const allowed = this.#rules.acquire(request)
    const result = await this.#store.acquire(request)
    const plain = result.type === 'done' ? { ...result, response: new Uint8Array(result.response) } : result
    this.#note('acquire', request, plain, allowed)
    // How long a scope stays full may be said too low, never too high.
    if (plain.type === 'full' && allowed[0]?.type === 'full') {
      expect(plain.retryAfterMs, this.#story).toBeGreaterThan(0)
      expect(plain.retryAfterMs, this.#story).toBeLessThanOrEqual(allowed[0].retryAfterMs)
    } else expect(allowed, this.#story).toContainEqual(plain)
    if (plain.type === 'acquired') this.#rules.acquired(request, plain.fence)
  }

  async #own(call: 'heartbeat' | 'complete' | 'release', request: AcquireRequest): Promise<void> {
    const response = Uint8Array.of(0, Math.floor(this.#random() * 256), 10, 255)
    const result = await this.#store[call](request, response)
    this.#settle(call, request, result !== 'stale' && result !== 'lost', response)
  }

  #settle(
    call: 'heartbeat' | 'complete' | 'release',
    request: AcquireRequest,
    done: boolean,
    response?: Uint8Array,
  ): void {
    const expected = this.#rules.owns(call, request)
    this.#note(call, request, done, expected)
    if (expected !== undefined) expect(done, this.#story).toBe(expected)
    if (done) this.#rules.did(call, request, response)
    else if (expected === undefined) this.#rules.forget(request)
  }

  async #read(request: AcquireRequest): Promise<void> {
    const { response, expired } = this.#rules.read(request)
    const read = await this.#store.read(request)
    this.#note('read', request, read, response)
    const plain = read && new Uint8Array(read)
    if (expired) expect([response, undefined], this.#story).toContainEqual(plain)
    else expect(plain, this.#story).toEqual(response)
  }

  async #transact(request: AcquireRequest): Promise<void> {
    if (this.#store.begin === undefined) return
    const transaction = await this.#store.begin(request)
    const expected = this.#rules.owns('heartbeat', request)
    this.#note('begin', request, transaction === 'stale' ? 'stale' : 'begun', expected)
    if (transaction === 'stale') {
      if (expected === undefined) this.#rules.forget(request)
      else expect(expected, this.#story).toBe(false)
      return
    }
    if (expected !== undefined) expect(expected, this.#story).toBe(true)
    if (this.#random() < 0.5) {
      await transaction.rollback()
      return
    }
    const response = Uint8Array.of(1, 2, 3)
    const result = await transaction.complete(response)
    this.#settle('complete', request, result === 'completed', response)
  }

  #note(
    call: string,
    { scope, key, owner, ...rest }: AcquireRequest,
    result: unknown,
    expected: unknown,
  ): void {
    const of = call === 'acquire' ? JSON.stringify(rest) : ''
    this.#said.push(
      `${this.#rules.nowMs}: ${owner} ${call} ${scope}${key} ${of} -> ${JSON.stringify(result)}, by the rules ${JSON.stringify(expected)}`,
    )
  }

  /** What led here, for who has to find out. */
  get #story(): string {
    return this.#said.slice(-25).join('\n')
  }
}

describe.each(storeKinds)('$name', ({ remote, make }) => {
  const seeds = remote === undefined ? 20 : 2
  test.each(Array.from({ length: seeds }, (_, seed) => seed))('keeps to the rules, seed %s', async (seed) => {
    await using subject = await make()
    await expect(new Order(seed, subject).run(400)).resolves.toBeUndefined()
  })
})
