import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore } from '../../src/stores/memory.ts'
import { senderOf } from '../../src/stores/redis/client.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { openDatabase } from '../../src/stores/sqlite/driver.ts'
import { sqliteStore, type SqliteDatabase } from '../../src/stores/sqlite/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import {
  connectIoRedis,
  connectNodeRedis,
  deleteAll,
  redisUrl,
  type RedisConnection,
} from '../support/redis.ts'
import { urlOf } from '../support/servers.ts'
import type { StoreUnderTest } from './store-cases.ts'

export interface DisposableStore extends StoreUnderTest, AsyncDisposable {
  readonly clock: VirtualClock
  /** For stores with transactions: effects of a handler in the store's own database. */
  readonly effects?: Effects
}

export interface Effects {
  /** Inside a transaction, with the client it hands out. */
  readonly add: (client: unknown, effect: string) => void | Promise<void>
  /** What everybody else sees. */
  readonly list: () => Promise<readonly string[]>
}

export interface StoreKind {
  readonly name: string
  readonly transactions: boolean
  /** In a server of its own: asking it takes real time. */
  readonly remote?: boolean
  readonly make: (clock?: VirtualClock) => Promise<DisposableStore>
}

export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Time is the test's here, where Redis would tell its own; all keys are deleted after. */
function redisKind(name: string, url: string, connect: (url: string) => Promise<RedisConnection>): StoreKind {
  return {
    name,
    transactions: false,
    remote: true,
    async make(clock = virtualClock()) {
      const { client, quit } = await connect(url)
      const prefix = `holdfast-test:${randomUUID()}:`
      const send = senderOf(client)
      const store = new RedisStore({ send, prefix, nowMs: () => clock.wallNow() })
      return {
        store,
        clock,
        advance: (ms) => clock.advance(ms),
        async [Symbol.asyncDispose]() {
          await deleteAll(send, prefix)
          await quit()
        },
      }
    },
  }
}

const redis = await urlOf(redisUrl)

/** The stores of this package, each on a clock that the test moves. */
export const storeKinds: readonly StoreKind[] = [
  {
    name: 'memory',
    transactions: false,
    async make(clock = virtualClock()) {
      const store = memoryStore({ clock })
      return { store, clock, advance: (ms) => clock.advance(ms), async [Symbol.asyncDispose]() {} }
    },
  },
  {
    name: 'sqlite',
    transactions: true,
    async make(clock = virtualClock()) {
      const folder = await temporaryFolder()
      const path = join(folder.path, 'keys.db')
      const store = sqliteStore({ path, clock })
      const other = await openDatabase(path)
      other.exec('CREATE TABLE effects (id INTEGER PRIMARY KEY, effect TEXT NOT NULL)')
      return {
        store,
        clock,
        effects: {
          // The store's client, as its documentation names it.
          add: (client, effect) => addEffect(client as SqliteDatabase, effect),
          list: async () => listEffects(other),
        },
        advance: (ms) => clock.advance(ms),
        async [Symbol.asyncDispose]() {
          await store.close?.()
          other.close()
          await folder[Symbol.asyncDispose]()
        },
      }
    },
  },
  ...(redis === undefined
    ? []
    : [
        redisKind('redis (ioredis)', redis, connectIoRedis),
        redisKind('redis (node-redis)', redis, connectNodeRedis),
      ]),
]

function addEffect(database: SqliteDatabase, effect: string): void {
  database.prepare('INSERT INTO effects (effect) VALUES (?)').run(effect)
}

function listEffects(database: SqliteDatabase): string[] {
  const rows = database.prepare('SELECT effect FROM effects ORDER BY id').all()
  return rows.map((row) => String(Reflect.get(Object(row), 'effect')))
}
