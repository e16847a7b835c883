/** Both clients behind a Sentinel, one of the tests' own: each passes what every store has to. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { senderOf, type SendCommand } from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { storeSuite } from '../../src/testing/store-suite/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import {
  connectIoRedisSentinel,
  connectNodeRedisSentinel,
  deleteAll,
  type RedisConnection,
} from '../support/redis.ts'
import { redisUrl, startSentinel } from '../support/redis-server.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { urlOf } from '../support/servers.ts'

const MASTER = 'holdfast'

/** Only an installed Redis can be started as a Sentinel; one that is somewhere else can't. */
const port = await urlOf(async () => {
  await redisUrl()
  return String(await startSentinel(MASTER))
})
testServersAreThere()

describe.skipIf(port === undefined).each([
  { client: 'node-redis', connect: connectNodeRedisSentinel },
  { client: 'ioredis', connect: connectIoRedisSentinel },
])('redisStore behind Sentinel, through $client', ({ connect }) => {
  let connection: RedisConnection | undefined
  const sender = (): SendCommand => senderOf(connected().client)
  const connected = (): RedisConnection => {
    if (connection === undefined) throw new Error('not connected')
    return connection
  }

  beforeAll(async () => {
    connection = await connect(MASTER, Number(port))
  })
  afterAll(async () => void (await connection?.quit()))

  const suite = storeSuite(() => {
    const clock = virtualClock()
    const prefix = `holdfast-test:${randomUUID()}:`
    const store = new RedisStore({ send: sender(), prefix, nowMs: () => clock.wallNow() })
    return { store, advance: (ms) => clock.advance(ms), dispose: () => deleteAll(sender(), prefix) }
  })

  test.each(suite.map(({ name, run }): [string, () => Promise<void>] => [name, run]))(
    '%s',
    async (_, run) => {
      await expect(run()).resolves.toBeUndefined()
    },
  )

  test('is taken as an option', async () => {
    const prefix = `holdfast-test:${randomUUID()}:`
    const store = redisStore({ client: connected().client, prefix })
    const lease = { scope: 's', key: 'k', fingerprint: 'f', owner: 'o', leaseMs: 1000 }
    const result = await store.acquire({ ...lease, ttlMs: 1000, abandoned: 'block', maxKeysPerScope: 1 })
    expect(result).toEqual({ type: 'acquired', fence: 1 })
    await deleteAll(sender(), prefix)
  })
})
