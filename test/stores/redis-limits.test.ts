/** A Redis that refuses something: it is full, or its user may not do everything. */
import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { idempotency } from '../../src/idempotency/index.ts'
import type { IdempotencyStore } from '../../src/idempotency/store.ts'
import { senderOf } from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { deferred } from '../support/operations.ts'
import { ask, OwnRedis, redisProgram } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

const program = await urlOf(redisProgram)
testServersAreThere()

const send = (handler: (request: Request) => Promise<Response>, key: string): Promise<Response> =>
  handler(new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': key } }))

describe.skipIf(program === undefined)('redisStore', () => {
  let redis: OwnRedis

  beforeAll(async () => {
    redis = await OwnRedis.start()
  })
  afterAll(() => redis[Symbol.asyncDispose]())

  function connected(options: { username?: string; password?: string } = {}): Redis {
    const client = new Redis(redis.url, { ...options, enableReadyCheck: false })
    client.on('error', () => {})
    onTestFinished(() => client.disconnect())
    return client
  }

  test('takes no new keys where Redis is full, and loses none of those under way', async () => {
    onTestFinished(async () => void (await ask(redis.port, 'CONFIG SET maxmemory 0')))
    const gates = { done: deferred<Response>(), refused: deferred<Response>() }
    const store = redisStore({ client: connected() })
    const clock = virtualClock()
    const events: string[] = []
    const protect = idempotency({ store, clock, onEvent: ({ type }) => void events.push(type) })
    const handlers = {
      done: protect(() => gates.done.promise),
      refused: protect(() => gates.refused.promise),
    }
    const [done, refused] = [send(handlers.done, 'done'), send(handlers.refused, 'refused')]
    await expect.poll(() => events).toEqual(['acquired', 'acquired'])
    await ask(redis.port, 'CONFIG SET maxmemory 1')
    await expect(store.acquire({ ...lease, owner: 'o' })).rejects.toThrow('OOM')
    await clock.advance(10_000)
    gates.done.resolve(new Response('done'.repeat(10_000)))
    gates.refused.resolve(new Response('no', { status: 400 }))
    expect((await done).headers.get('idempotency-status')).toBe(null)
    expect((await refused).headers.get('idempotency-status')).toBe(null)
    const replay = await send(handlers.done, 'done')
    expect([replay.headers.get('idempotent-replayed'), await replay.text()]).toEqual([
      'true',
      'done'.repeat(10_000),
    ])
    expect(events.toSorted()).toEqual(['acquired', 'acquired', 'completed', 'released', 'replayed'])
  })

  test('needs the rights that its page lists, and no others', async () => {
    const page = await readFile('docs/stores/redis.md', 'utf8')
    const rule = /^ACL SETUSER app .*$/m.exec(page)?.[0] ?? ''
    const rights = rule.split(' ').filter((word) => word.startsWith('+'))
    const user = (allowed: readonly string[]): Promise<string> =>
      ask(redis.port, `ACL SETUSER app reset on >secret ~holdfast:* ${allowed.join(' ')}`)
    const time = { nowMs: Date.now() }
    const client = connected({ username: 'app', password: 'secret' })
    const store = new RedisStore({ send: senderOf(client), prefix: 'holdfast:', nowMs: () => time.nowMs })
    await user(rights)
    expect(await outcomes(store, 'all', time)).toEqual(OUTCOMES)
    // The time is told here.
    for (const right of rights.filter((each) => each !== '+time')) {
      await user(rights.filter((each) => each !== right))
      await ask(redis.port, 'SCRIPT FLUSH')
      const refused = outcomes(store, right, time).then(() => `${right} is not needed`)
      await expect(refused).rejects.toThrow(/NOPERM|can't run this command/)
    }
    expect(await keysForEver(connected())).toEqual([])
  })
})

async function keysForEver(client: Redis): Promise<string[]> {
  const keys = await client.keys('holdfast:*')
  const left = await Promise.all(keys.map((key) => client.pttl(key)))
  return keys.filter((_, index) => left[index] === -1)
}

const lease = {
  scope: 'client',
  key: 'key',
  fingerprint: 'f',
  owner: 'o',
  leaseMs: 1000,
  ttlMs: 5000,
  abandoned: 'block',
  maxKeysPerScope: 1,
} as const

const RESPONSE = Uint8Array.of(1)

const OUTCOMES = ['acquired', 'extended', 'released', 'acquired', 'full', 'completed', 'done', 'acquired']

/** Each operation, down to the last branch of its script: the last key is taken where a response has expired. */
async function outcomes(store: IdempotencyStore, scope: string, time: { nowMs: number }): Promise<string[]> {
  const own = { ...lease, scope }
  const acquired = async (change: object = {}): Promise<string> =>
    (await store.acquire({ ...own, ...change })).type
  const said = [await acquired(), await store.heartbeat(own), await store.release(own), await acquired()]
  said.push(await acquired({ key: 'other' }), await store.complete(own, RESPONSE), await acquired())
  expect(await store.read(own)).toEqual(RESPONSE)
  time.nowMs += lease.ttlMs
  return [...said, await acquired()]
}
