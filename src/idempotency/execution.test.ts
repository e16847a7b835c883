import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import type { HandlerResponse } from './answer.ts'
import { Claim } from './claim.ts'
import type { IdempotencyEvent } from './events.ts'
import { Execution } from './execution.ts'
import { resolveOptions, type IdempotencyOptions } from './options.ts'
import type { IdempotencyStore, StoreTransaction } from './store.ts'
import { TransactionLostError } from './transaction.ts'

const LEASE_MS = 300
const record = { scope: 's', key: 'k', fingerprint: 'f' }
const made: HandlerResponse = { status: 201, statusText: '', headers: [], body: Uint8Array.of(1) }

interface Subject {
  readonly clock: ReturnType<typeof virtualClock>
  /** Replaces operations of the store. */
  readonly change: (operations: Partial<IdempotencyStore>) => void
  /** Another request's claim on the same key. */
  readonly claim: () => Claim
  readonly events: string[]
  readonly execution: Execution
  readonly inner: IdempotencyStore
}

/** A request whose handler runs. */
async function run(
  operations: Partial<IdempotencyStore> = {},
  options: Partial<IdempotencyOptions> = {},
): Promise<Subject> {
  const clock = virtualClock()
  const inner = memoryStore({ clock })
  const store: IdempotencyStore = {
    name: 'changed',
    acquire: (request) => inner.acquire(request),
    heartbeat: (lease) => inner.heartbeat(lease),
    complete: (lease, response) => inner.complete(lease, response),
    release: (lease) => inner.release(lease),
    read: (lease) => inner.read(lease),
    ...operations,
  }
  const events: string[] = []
  const onEvent = (event: IdempotencyEvent): void => void events.push(event.type)
  const settings = resolveOptions({ store, clock, leaseMs: LEASE_MS, onEvent, ...options })
  const claim = (): Claim => new Claim(settings, { method: 'POST', path: '/', key: 'k' }, record)
  const own = claim()
  await own.acquire()
  const execution = new Execution(settings, own, 1, () => {})
  return { clock, change: (changes) => Object.assign(store, changes), claim, events, execution, inner }
}

/** Transactions that can do nothing, with some of it replaced. */
const transactions =
  (changes: Partial<StoreTransaction>): NonNullable<IdempotencyStore['begin']> =>
  async () => ({
    client: undefined,
    complete: async () => 'completed',
    commit: async () => {},
    rollback: async () => {},
    ...changes,
  })

const away = async (): Promise<never> => {
  throw new Error('away')
}

/** Commits succeed, and nobody hears of it; for 2 s nothing can be read, either. */
const unheard = ({ clock, inner }: Subject): Partial<IdempotencyStore> => ({
  begin: async (lease) =>
    transactions({
      async complete(response) {
        if (lease !== undefined) await inner.complete(lease, response)
        return away()
      },
    })(lease),
  read: async (lease) => (clock.now() < 2000 ? away() : inner.read(lease)),
})

describe('an execution', () => {
  test('whose record is made has lost nothing when its heartbeat finds no lease any more', async () => {
    const subject = await run()
    const { clock, execution, inner } = subject
    subject.change({
      async complete(lease, response) {
        const result = await inner.complete(lease, response)
        await new Promise<void>((resolve) => {
          clock.schedule(resolve, 2 * LEASE_MS)
        })
        return result
      },
    })
    const { signal } = execution
    const verdict = execution.respond(made)
    await clock.advance(2 * LEASE_MS)
    expect(await verdict).toEqual({ type: 'own', status: undefined })
    expect(subject.events).toEqual(['completed'])
    expect(signal.aborted).toBe(false)
    expect(clock.pending).toBe(0)
  })

  test('keeps its lease while the store is slow to make its record', async () => {
    const { clock, claim, execution, inner } = await run({
      complete: (lease, response) =>
        new Promise<void>((resolve) => {
          clock.schedule(resolve, 3 * LEASE_MS)
        }).then(() => inner.complete(lease, response)),
    })
    const verdict = execution.respond(made)
    await clock.advance(2 * LEASE_MS)
    expect((await claim().acquire()).type).toBe('busy')
    await clock.advance(LEASE_MS)
    expect(await verdict).toEqual({ type: 'own', status: undefined })
  })

  test('that has lost its key before it responds hears of it', async () => {
    const { clock, claim, events, execution } = await run({ heartbeat: away }, { abandoned: 'takeover' })
    const { signal } = execution
    await clock.advance(LEASE_MS)
    await claim().acquire()
    expect(signal.aborted).toBe(true)
    expect((await execution.respond(made)).type).toBe('other')
    expect(events.filter((type) => type !== 'store-error')).toEqual(['lease-lost', 'stale'])
  })

  test('whose commit was refused gives its key back although the store does not answer', async () => {
    const subject = await run(
      { begin: transactions({ complete: away }) },
      { transactional: true, abandoned: 'block' },
    )
    const { clock, claim, execution } = subject
    await execution.transaction(() => undefined)
    subject.change({ release: away })
    const verdict = execution.respond(made)
    await clock.advance(2000)
    expect(await verdict).toMatchObject({ type: 'other', answer: { status: 503 } })
    subject.change({ release: (lease) => subject.inner.release(lease) })
    await clock.advance(2000)
    expect((await claim().acquire()).type).toBe('acquired')
  })

  test('whose commit was refused tells that its key is given back', async () => {
    const { events, execution } = await run({ begin: transactions({ complete: away }) })
    await execution.transaction(() => undefined)
    expect(await execution.respond(made)).toMatchObject({ type: 'other', answer: { status: 503 } })
    expect(events).toEqual(['store-error', 'released'])
  })

  test('whose commit succeeded, and can be found out no sooner than when the key is given back, is answered so', async () => {
    const subject = await run()
    const { clock, events, execution } = subject
    subject.change(unheard(subject))
    await execution.transaction(() => undefined)
    const verdict = execution.respond(made)
    await clock.advance(5000)
    expect(await verdict).toMatchObject({ type: 'other', answer: { status: 201, body: made.body } })
    expect(events.filter((type) => type !== 'store-error')).toEqual(['stale'])
  })

  test('that had begun, and whose commit succeeded unheard, is answered by what is on record', async () => {
    const subject = await run()
    const { clock, execution } = subject
    subject.change(unheard(subject))
    execution.began()
    await execution.transaction(() => undefined)
    const verdict = execution.respond(made)
    await clock.advance(5000)
    expect(await verdict).toMatchObject({ type: 'other', answer: { status: 201, body: made.body } })
  })

  test('that had begun before its transaction was lost, and can tell nobody, is not said to be free to run again', async () => {
    const { clock, events, execution } = await run({ begin: away, complete: away })
    execution.began()
    const error = await execution.transaction(() => undefined).catch((lost: unknown) => lost)
    const verdict = execution.fail(error)
    await clock.advance(2000)
    expect(await verdict).toMatchObject({ type: 'other', answer: { status: 409 } })
    expect(events.filter((type) => type !== 'store-error')).toEqual(['unsaved'])
  })

  test('whose transaction never ends is told so in time, commits nothing, and undoes it once it has ended', async () => {
    const log: string[] = []
    const begin = transactions({
      complete: async () => (log.push('complete'), 'completed'),
      rollback: async () => void log.push('rollback'),
    })
    const options = { transactional: true, transactionTimeoutMs: 700 }
    const { clock, claim, events, execution } = await run({ begin }, options)
    const { signal } = execution
    let end = (): void => {}
    const hanging = new Promise<void>((resolve) => (end = resolve))
    const transaction = execution.transaction(() => hanging).catch((error: unknown) => error)
    await clock.advance(699)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    const error = await transaction
    expect(error).toBeInstanceOf(TransactionLostError)
    expect(error).toMatchObject({ cause: { message: 'the transaction was open for more than 700 ms' } })
    expect(signal.reason).toMatchObject({ cause: { name: 'TransactionTimeoutError' } })
    expect(await execution.fail(error)).toMatchObject({ type: 'other', answer: { status: 503 } })
    expect(events).toEqual(['lease-lost', 'released'])
    // What it does after a rollback would be done outside of any transaction.
    expect(log).toEqual([])
    end()
    await clock.settle()
    expect(log).toEqual(['rollback'])
    expect((await claim().acquire()).type).toBe('acquired')
    expect(clock.pending).toBe(0)
  })

  test('that is given up while its transaction hangs ends in time', async () => {
    const options = { transactional: true, transactionTimeoutMs: 700 }
    const { clock, claim, execution } = await run({ begin: transactions({}) }, options)
    execution.transaction(() => new Promise(() => {})).catch(() => {})
    await clock.settle()
    const abandoned = execution.abandon()
    await clock.advance(700)
    await abandoned
    expect((await claim().acquire()).type).toBe('acquired')
  })

  test('that does not respond to an open transaction has it rolled back in time', async () => {
    let over = false
    const begin = transactions({
      complete: async () => (over ? away() : 'completed'),
      rollback: async () => void (over = true),
    })
    const options = { transactional: true, transactionTimeoutMs: 700 }
    const { clock, events, execution } = await run({ begin }, options)
    const { signal } = execution
    await execution.transaction(() => undefined)
    await clock.advance(699)
    expect([over, signal.aborted]).toEqual([false, false])
    await clock.advance(1)
    expect([over, signal.aborted]).toEqual([true, true])
    expect(await execution.respond(made)).toMatchObject({ type: 'other', answer: { status: 503 } })
    expect(events).not.toContain('completed')
    expect(clock.pending).toBe(0)
  })

  test.each([
    ['', false, { type: 'own', status: 'unsaved' }, ['store-error', 'unsaved']],
    [', in a transaction too', true, { type: 'other', answer: { status: 503 } }, ['store-error', 'released']],
  ])(
    'whose response can not be encrypted tells it as one that can not be saved%s',
    async (_, transactional, verdict, told) => {
      const begin = transactions({})
      const encrypt = { keys: [{ id: 'a', key: new Uint8Array(32) }] }
      const { events, execution } = await run({ begin }, { transactional, encrypt })
      if (transactional) await execution.transaction(() => undefined)
      vi.spyOn(crypto.subtle, 'encrypt').mockRejectedValueOnce(new Error('no'))
      expect(await execution.respond(made)).toMatchObject(verdict)
      expect(events).toEqual(told)
    },
  )

  test.each<[string, Partial<IdempotencyStore>, Partial<IdempotencyOptions>, number, string]>([
    ['is saved as failed', {}, {}, 500, 'done'],
    ['is given back where a rule says so', {}, { release: () => true }, 503, 'acquired'],
    ['has an unknown outcome where that can not be saved', { complete: away }, {}, 409, 'abandoned'],
  ])(
    'that had begun, and whose transaction is lost after it, %s',
    async (_, changes, options, status, next) => {
      const begin = transactions({ complete: away })
      const { clock, claim, execution } = await run({ begin, ...changes }, options)
      execution.began()
      await execution.transaction(() => undefined)
      const verdict = execution.respond(made)
      await clock.advance(10_000)
      expect(await verdict).toMatchObject({ type: 'other', answer: { status } })
      expect((await claim().acquire()).type).toBe(next)
    },
  )

  test('that responds to an open transaction in time leaves no timer behind', async () => {
    for (const changes of [{}, { complete: away }]) {
      const begin = transactions(changes)
      const { clock, execution } = await run({ begin }, { transactional: true })
      await execution.transaction(() => undefined)
      const verdict = execution.respond(made)
      await clock.settle()
      await verdict
      expect(clock.pending).toBe(0)
    }
  })

  test('that was given up gets no transaction, which would stay open, and no heartbeat', async () => {
    const { clock, events, execution } = await run({ begin: transactions({}) }, { transactional: true })
    await execution.abandon()
    expect(clock.pending).toBe(0)
    await expect(execution.transaction(() => undefined)).rejects.toThrow('did not take effect')
    expect(clock.pending).toBe(0)
    await clock.advance(10 * LEASE_MS)
    expect(events).toEqual([])
  })

  test('that failed while its transaction ran leaves no heartbeat behind, whatever became of that', async () => {
    for (const rollback of [async () => {}, away]) {
      const { clock, execution } = await run({ begin: transactions({ rollback }) }, { transactional: true })
      let fail = (_: Error): void => {}
      const failing = new Promise<never>((_, reject) => (fail = reject))
      const transaction = execution.transaction(() => failing).catch(String)
      await clock.settle()
      const verdict = execution.fail(new Error('did not wait'))
      fail(new Error('no'))
      await clock.settle()
      await verdict
      await transaction
      expect(clock.pending).toBe(0)
    }
  })
})
