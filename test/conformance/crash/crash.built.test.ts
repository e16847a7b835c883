/**
 * Servers that are killed, or frozen past their leases, wherever a request may be, over each store that processes can
 * share. To start a process costs more than all that is asked of it here: so all requests stand still in the same two,
 * which are struck once, and a third one goes on.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testServersAreThere } from '../../support/left-out.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { redisUrl } from '../../support/redis-server.ts'
import { urlOf } from '../../support/servers.ts'
import { casesOf, type Case, type StoreName } from './cases.ts'
import { openDatabases, type Databases, type Rows } from './databases.ts'
import { pause, startServer, type Answer, type ServerProcess } from './server-process.ts'

/** Short, since it has to run out, and long, where it must not however busy the machine is. */
const LEASE_MS = 600
const LONG_MS = 600_000

const urls = { redis: await urlOf(redisUrl), postgres: await urlOf(postgresUrl) }
testServersAreThere()

const shared: readonly StoreName[] = ['sqlite', 'redis', 'postgres']
const stores = shared.filter((store) => store === 'sqlite' || urls[store] !== undefined)
const databases = stores.filter((store) => store !== 'redis')

const UNRECORDED = ['handler', 'effect', 'completing']
const UNCOMMITTED = ['handler', 'begun', 'inserted', 'inserted twice', 'after the transaction', 'completing']

const killed = {
  inFlight: [
    ...casesOf(stores, 'block', ['effect'], LONG_MS),
    ...casesOf(databases, 'transaction', ['inserted'], LONG_MS),
  ],
  blocked: casesOf(stores, 'block', UNRECORDED, LEASE_MS),
  free: casesOf(stores, 'takeover', UNRECORDED, LEASE_MS),
  recorded: casesOf(stores, 'block', ['completed'], LEASE_MS),
  uncommitted: casesOf(databases, 'transaction', UNCOMMITTED, LEASE_MS),
  committed: casesOf(databases, 'transaction', ['completed'], LEASE_MS),
}
const frozen = {
  blocked: casesOf(stores, 'block', ['effect'], LEASE_MS),
  free: casesOf(stores, 'takeover', ['effect'], LEASE_MS),
  inTransaction: casesOf(databases, 'transaction', ['inserted'], LEASE_MS),
}
const allKilled = Object.values(killed).flat()
const allFrozen = Object.values(frozen).flat()

/** SQLite's lock is its process's for as long as that lives; Postgres ends a transaction that stands still for a lease. */
const isShutOut = ({ store, policy }: Case): boolean => store === 'sqlite' && policy === 'transaction'

interface World {
  readonly databases: Databases
  readonly killed: ServerProcess
  readonly frozen: ServerProcess
  readonly survivor: ServerProcess
  /** What killed servers left. */
  readonly rows: Seen<Rows>
  /** What the survivor answered while the first server was frozen, and what that one did when it was woken. */
  readonly meanwhile: Seen<Answer>
  readonly late: Seen<Answer>
}

const disposables: AsyncDisposable[] = []

function toDispose<T extends AsyncDisposable>(disposable: T): T {
  disposables.push(disposable)
  return disposable
}

type Seen<T> = (order: Case) => T

async function see<T>(cases: readonly Case[], look: (order: Case) => Promise<T>): Promise<Seen<T>> {
  const seen = new Map(await Promise.all(cases.map(async (each) => [each, await look(each)] as const)))
  return (order) => {
    const found = seen.get(order)
    if (found === undefined) throw new Error('nobody has looked at this order')
    return found
  }
}

async function strike(): Promise<World> {
  const databases = toDispose(await openDatabases(urls, [...allKilled, ...allFrozen]))
  const startWith = async (storeTimeoutMs: number): Promise<ServerProcess> =>
    toDispose(await startServer({ ...databases.config, stores, storeTimeoutMs }))
  // Who stands still at the store must not be answered for as out of time.
  const [killed, frozen, survivor] = await Promise.all([
    startWith(LONG_MS),
    startWith(LONG_MS),
    startWith(1000),
  ])
  for (const each of allKilled) killed.send(each, each.stopAt).catch(() => {})
  const late = see(allFrozen, (each) => frozen.send(each, each.stopAt))
  await Promise.all([killed.reached(allKilled), frozen.reached(allFrozen)])

  frozen.freeze()
  await killed.kill()
  const rows = await see(allKilled, databases.rows)
  await pause(LEASE_MS)
  const meanwhile = await see(allFrozen, (each) =>
    survivor.sendWhile(each, 'request-in-flight', ...(isShutOut(each) ? [] : ['store-unavailable'])),
  )
  frozen.wake()
  return { databases, killed, frozen, survivor, rows, meanwhile, late: await late }
}

let world: World

beforeAll(async () => {
  world = await strike()
}, 60_000)
afterAll(async () => {
  for (const each of disposables.toReversed()) await each[Symbol.asyncDispose]()
})

/** Of who made it: the first time, or again. */
const made = ({ response }: ServerProcess, replayed: 'replayed' | 'first'): Partial<Answer> => ({
  status: 201,
  text: response,
  replayed: replayed === 'replayed',
})

const UNKNOWN: Partial<Answer> = { status: 409, code: 'outcome-unknown', retryAfter: null }

/** What the survivor makes of an order whose lease is over; how soon it learns that depends on how busy the machine is. */
const settle = (order: Case): Promise<Answer> =>
  world.survivor.sendWhile(order, 'request-in-flight', 'store-unavailable')

describe('a server that is killed', () => {
  test.each(killed.inFlight)(
    '$store, $policy, at $stopAt: the key is in flight for as long as its lease',
    async (order) => {
      const answer = await world.survivor.sendWhile(order, 'store-unavailable')
      expect(answer).toMatchObject({ status: 409, code: 'request-in-flight', retryAfter: '1' })
    },
  )

  test.each(killed.blocked)(
    '$store, $policy, at $stopAt: the key is blocked after its lease, and nothing runs twice',
    async (order) => {
      for (let time = 0; time < 3; time++) expect(await settle(order)).toMatchObject(UNKNOWN)
      expect(await world.databases.effects(order)).toBe(order.stopAt === 'handler' ? 0 : 1)
    },
  )

  test.each(killed.free)(
    '$store, $policy, at $stopAt: the key is taken over after its lease',
    async (order) => {
      const { survivor } = world
      expect(await settle(order)).toMatchObject(made(survivor, 'first'))
      expect(await settle(order)).toMatchObject(made(survivor, 'replayed'))
      expect(await world.databases.effects(order)).toBe(order.stopAt === 'handler' ? 1 : 2)
    },
  )

  test.each(killed.recorded)(
    '$store, $policy, at $stopAt: what it recorded is what everybody gets',
    async (order) => {
      expect(await settle(order)).toMatchObject(made(world.killed, 'replayed'))
      expect(await world.databases.effects(order)).toBe(1)
    },
  )

  test.each(killed.uncommitted)(
    '$store, $policy, at $stopAt: neither effect nor record is left, and a retry makes it exactly one',
    async (order) => {
      const { survivor, databases } = world
      expect(world.rows(order)).toEqual({ orders: 0, ledger: 0, done: 0 })
      expect(await settle(order)).toMatchObject(made(survivor, 'first'))
      expect(await databases.rows(order)).toEqual({ orders: 1, ledger: 1, done: 1 })
      expect(await settle(order)).toMatchObject(made(survivor, 'replayed'))
    },
  )

  test.each(killed.committed)(
    '$store, $policy, at $stopAt: effect and record are left, and nothing runs again',
    async (order) => {
      expect(world.rows(order)).toEqual({ orders: 1, ledger: 1, done: 1 })
      expect(await settle(order)).toMatchObject(made(world.killed, 'replayed'))
      expect(await world.databases.rows(order)).toEqual({ orders: 1, ledger: 1, done: 1 })
    },
  )
})

describe('a server that is frozen past its lease', () => {
  test.each(frozen.blocked)(
    '$store, $policy: nobody else runs it, and it completes when it wakes up',
    async (order) => {
      expect(world.meanwhile(order)).toMatchObject(UNKNOWN)
      expect(world.late(order)).toMatchObject(made(world.frozen, 'first'))
      expect(await world.survivor.send(order)).toMatchObject(made(world.frozen, 'replayed'))
      expect(await world.databases.effects(order)).toBe(1)
    },
  )

  test.each(frozen.free)(
    '$store, $policy: it can not overwrite its successor, and sends what that one recorded',
    async (order) => {
      expect(world.meanwhile(order)).toMatchObject(made(world.survivor, 'first'))
      expect(world.late(order)).toMatchObject(made(world.survivor, 'replayed'))
      expect(await world.frozen.send(order)).toMatchObject(made(world.survivor, 'replayed'))
      expect(await world.databases.effects(order)).toBe(2)
    },
  )

  test.each(frozen.inTransaction)(
    '$store, $policy: one order is made, by it or by its successor, and both say the same',
    async (order) => {
      const winner = isShutOut(order) ? world.frozen : world.survivor
      const refused: Partial<Answer> = { status: 503, code: 'store-unavailable' }
      expect(world.meanwhile(order)).toMatchObject(isShutOut(order) ? refused : made(winner, 'first'))
      expect(world.late(order)).toMatchObject(made(winner, isShutOut(order) ? 'first' : 'replayed'))
      for (const server of [world.frozen, world.survivor])
        expect(await server.send(order)).toMatchObject(made(winner, 'replayed'))
      expect(await world.databases.rows(order)).toEqual({ orders: 1, ledger: 1, done: 1 })
    },
  )
})
