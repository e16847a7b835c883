import { describe, expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { resolveOptions } from './options.ts'
import type { IdempotencyStore, StoreTransaction } from './store.ts'
import { TransactionLostError } from './transaction.ts'
import { committed, Unprotected } from './unprotected.ts'

/** A request without a key, over a store that only has transactions, whose response is held back. */
function setup(broken: Partial<StoreTransaction> = {}, begin?: IdempotencyStore['begin']) {
  const log: string[] = []
  const transaction: StoreTransaction = {
    client: 'client',
    commit: async () => void log.push('commit'),
    rollback: async () => void log.push('rollback'),
    complete: async () => 'completed',
    ...broken,
  }
  const store: IdempotencyStore = Object.assign(memoryStore(), { begin: begin ?? (async () => transaction) })
  const ids = ['first id', 'second id']
  const clock = virtualClock()
  const randomUUID = (): string => ids.shift() ?? 'third id'
  const context = new Unprotected(resolveOptions({ store, clock, randomUUID }))
  let holds = 0
  context.holdWith(() => {
    const number = ++holds
    return {
      release: () => void log.push(`release ${number}`),
      discard: () => void log.push(`discard ${number}`),
    }
  })
  return { clock, context, log }
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

const turns = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

describe('a request without a key', () => {
  test('has no fence, no key, and one downstream id', () => {
    const { context } = setup()
    context.began()
    expect([context.fence, context.key, context.used]).toEqual([0, undefined, false])
    expect(context.downstreamKey('a b')).toBe('first id-a%20b')
    expect(context.downstreamKey('c')).toBe('first id-c')
    expect(context.signal).toBe(context.signal)
    expect(context.signal.aborted).toBe(false)
  })

  test('commits when the function has resolved, and lets the response go after that', async () => {
    const { context, log } = setup()
    expect(await context.transaction(async (client) => `${String(client)}'s`)).toBe("client's")
    expect(context.used).toBe(true)
    expect(log).toEqual(['commit', 'release 1'])
  })

  test('rolls back when it throws, and takes the response back', async () => {
    const { context, log } = setup()
    const failing = context.transaction(() => {
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(log).toEqual(['rollback', 'discard 1', 'release 1'])
  })

  test('shows why the commit failed, not that the rollback did, too', async () => {
    const commit = () => Promise.reject(new Error('the commit failed'))
    const rollback = () => Promise.reject(new Error('the rollback failed'))
    const { context, log } = setup({ commit, rollback })
    await expect(context.transaction(() => 1)).rejects.toThrow('the commit failed')
    expect(log).toEqual(['discard 1', 'release 1'])
  })

  test('holds one response until the last of its transactions has ended, and another one after that', async () => {
    const { context, log } = setup()
    const [one, two] = [gate(), gate()]
    const first = context.transaction(() => one.opened)
    const second = context.transaction(() => two.opened)
    one.open()
    await first
    expect(log).toEqual(['commit'])
    two.open()
    await second
    expect(log).toEqual(['commit', 'commit', 'release 1'])
    await context.transaction(() => 1)
    expect(log.slice(3)).toEqual(['commit', 'release 2'])
  })

  test('is committed once what it left behind is', async () => {
    const { context, log } = setup()
    const { opened, open } = gate()
    void context.transaction(() => opened)
    const waiting = committed(context).then(() => log.push('committed'))
    await turns()
    expect(log).toEqual([])
    open()
    await waiting
    expect(log.indexOf('committed')).toBeGreaterThan(log.indexOf('commit'))
  })

  test('is not committed where what it left behind failed', async () => {
    const { context } = setup()
    const { opened, open } = gate()
    const left = context.transaction(async () => {
      await opened
      throw new Error('late')
    })
    left.catch(() => {})
    const waiting = committed(context)
    open()
    await expect(waiting).rejects.toThrow('late')
  })

  test('may not answer with what it made in a transaction that failed, and may with anything else', async () => {
    const { context } = setup({ commit: () => Promise.reject(new Error('the commit failed')) })
    const made = { status: 201 }
    await context.transaction(() => made).catch(() => {})
    await expect(context.committed(made)).rejects.toThrow('the commit failed')
    await expect(context.committed({ status: 201 })).resolves.toBeUndefined()
    await expect(context.committed()).resolves.toBeUndefined()
  })

  test('may answer with nothing, whatever has failed', async () => {
    const { context } = setup({ commit: () => Promise.reject(new Error('the commit failed')) })
    await context.transaction(() => undefined).catch(() => {})
    await expect(context.committed(undefined)).resolves.toBeUndefined()
  })

  test('waits no longer for a commit, or for a rollback after it, than for any other answer of the store', async () => {
    const never = () => new Promise<void>(() => {})
    const { clock, context, log } = setup({ commit: never, rollback: never })
    const failure = context.transaction(() => 1).catch((error: unknown) => error)
    await clock.advance(2000)
    expect(log).toEqual([])
    await clock.advance(2000)
    expect(await failure).toMatchObject({ message: 'the store did not answer within 2000 ms' })
    expect(log).toEqual(['discard 1', 'release 1'])
  })

  test('whose transaction never ends is told so in time, and it is rolled back once it has ended', async () => {
    const { opened, open } = gate()
    const { clock, context, log } = setup()
    const { signal } = context
    const failure = context.transaction(() => opened).catch((error: unknown) => error)
    await clock.advance(60_000)
    expect(await failure).toBeInstanceOf(TransactionLostError)
    expect(signal.reason).toBe(await failure)
    expect(log).toEqual(['discard 1', 'release 1'])
    open()
    await clock.settle()
    expect(log).toEqual(['discard 1', 'release 1', 'rollback'])
    expect(clock.pending).toBe(0)
  })

  test('can not have a stale transaction', async () => {
    const { context } = setup({}, async () => 'stale')
    await expect(context.transaction(() => 1)).rejects.toThrow('can not be stale')
  })

  test('is told by its signal when the database ends its transaction', async () => {
    const { opened, open } = gate()
    const { context } = setup({ lost: opened.then(() => 'shut down') })
    const held = gate()
    const working = context.transaction(() => held.opened)
    await turns()
    expect(context.signal.aborted).toBe(false)
    open()
    await turns()
    expect(context.signal.reason).toBeInstanceOf(TransactionLostError)
    expect(context.signal.reason).toMatchObject({ cause: 'shut down' })
    held.open()
    await working
  })

  test('has nothing to wait for where it is no such request', async () => {
    await expect(committed(undefined)).resolves.toBeUndefined()
  })
})
