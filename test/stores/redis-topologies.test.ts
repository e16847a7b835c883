/** Both clients behind a Sentinel and in a cluster, of the tests' own: each passes what every store has to. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { idempotency } from '../../src/idempotency/index.ts'
import { senderOf, type SendCommand } from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { storeSuite } from '../../src/testing/store-suite/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { tick } from '../client/support/wait.ts'
import { testServersAreThere } from '../support/left-out.ts'
import {
  connectIoRedisCluster,
  connectIoRedisSentinel,
  connectNodeRedisCluster,
  connectNodeRedisSentinel,
  type RedisConnection,
} from '../support/redis.ts'
import { ask, redisUrl, startCluster, startSentinel, type OwnRedis } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

expectNoUnhandledRejections()

const MASTER = 'holdfast'

/** Only an installed Redis can be started as a Sentinel; one that is somewhere else can't. */
const sentinel = await urlOf(async () => {
  await redisUrl()
  return String(await startSentinel(MASTER))
})
testServersAreThere()

/** It takes its seconds, while the other cases run. */
const cluster = sentinel === undefined ? Promise.resolve([]) : startCluster()
cluster.catch(() => {})

const newPrefix = (): string => `holdfast-test:${randomUUID()}:`

/** What every client in every topology has to do. */
function testStore(connect: () => Promise<RedisConnection>): void {
  let connection: RedisConnection | undefined
  const connected = (): RedisConnection => {
    if (connection === undefined) throw new Error('not connected')
    return connection
  }
  const sender = (): SendCommand => senderOf(connected().client)

  beforeAll(async () => {
    connection = await connect()
  }, 20_000)
  afterAll(async () => void (await connection?.quit()))

  const suite = storeSuite(() => {
    const clock = virtualClock()
    const store = new RedisStore({ send: sender(), prefix: newPrefix(), nowMs: () => clock.wallNow() })
    return { store, advance: (ms) => clock.advance(ms) }
  })

  test.each(suite.map(({ name, run }): [string, () => Promise<void>] => [name, run]))(
    '%s',
    async (_, run) => {
      await expect(run()).resolves.toBeUndefined()
    },
  )

  test('is taken as an option', async () => {
    const store = redisStore({ client: connected().client, prefix: newPrefix() })
    const lease = { scope: 's', key: 'k', fingerprint: 'f', owner: 'o', leaseMs: 1000 }
    const result = await store.acquire({ ...lease, ttlMs: 1000, abandoned: 'block', maxKeysPerScope: 1 })
    expect(result).toEqual({ type: 'acquired', fence: 1 })
  })
}

describe.skipIf(sentinel === undefined).each([
  { client: 'node-redis', connect: connectNodeRedisSentinel },
  { client: 'ioredis', connect: connectIoRedisSentinel },
])('redisStore behind Sentinel, through $client', ({ connect }) => {
  testStore(() => connect(MASTER, Number(sentinel)))
})

const nodeAt = async (index: number): Promise<OwnRedis> => {
  const node = (await cluster)[index]
  if (node === undefined) throw new Error('there is no such node')
  return node
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

interface Api {
  runs: number
  readonly send: (scope: string, key: string) => Promise<Answer>
  /** Sends it again until the store is back, and whatever was asked of it meanwhile is given back. */
  readonly sendWhileAway: (scope: string, key: string) => Promise<Answer>
}

/** An API whose clients name their own scope, which decides the node. */
function apiOver({ client }: RedisConnection): Api {
  const scope = (request: Request): string => request.headers.get('x-scope') ?? ''
  const store = redisStore({ client, prefix: newPrefix() })
  const handler = idempotency({ store, scope, storeTimeoutMs: 1000 })(
    () => new Response(`run ${++api.runs}`, { status: 201 }),
  )
  const api: Api = {
    runs: 0,
    async send(scope, key) {
      const headers = { 'idempotency-key': key, 'x-scope': scope }
      const response = await handler(new Request('https://api.test/', { method: 'POST', headers }))
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    async sendWhileAway(scope, key) {
      for (let tries = 0; tries < 400; tries++) {
        const answer = await api.send(scope, key)
        if (answer.status !== 503 && !answer.text.includes('request-in-flight')) return answer
        await tick(20)
      }
      throw new Error('the store did not come back')
    },
  }
  return api
}

function expectUnavailable({ status, text, headers }: Answer): void {
  expect(status).toBe(503)
  expect(headers.get('retry-after')).toBe('1')
  expect(JSON.parse(text)).toMatchObject({ code: 'store-unavailable' })
}

function expectReplay({ text, headers }: Answer, first: Answer): void {
  expect(headers.get('idempotent-replayed')).toBe('true')
  expect(text).toBe(first.text)
}

const NODES = [0, 1, 2] as const

const slotOf = async (scope: string): Promise<number> =>
  Number((await ask((await nodeAt(0)).port, `CLUSTER KEYSLOT {s${scope}}`)).slice(1).split('\r')[0])

const keysIn = async (slot: number, { port }: OwnRedis): Promise<number> =>
  Number((await ask(port, `CLUSTER COUNTKEYSINSLOT ${slot}`)).slice(1).split('\r')[0])

/** A scope, of a name and in a slot that nobody else has, whose keys that node has. */
async function scopeOn(node: (typeof NODES)[number]): Promise<string> {
  for (;;) {
    const scope = randomUUID()
    const slot = await slotOf(scope)
    if (Math.floor(slot / 5461.4) === node && (await keysIn(slot, await nodeAt(node))) === 0) return scope
  }
}

/** Moves a slot and what is in it; `meanwhile` nobody has all of it. */
async function moveSlot(
  slot: number,
  from: OwnRedis,
  to: OwnRedis,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const idOf = async ({ port }: OwnRedis): Promise<string> =>
    (await ask(port, 'CLUSTER MYID')).split('\r\n')[1] ?? ''
  const [fromId, toId] = [await idOf(from), await idOf(to)]
  await ask(to.port, `CLUSTER SETSLOT ${slot} IMPORTING ${fromId}`)
  await ask(from.port, `CLUSTER SETSLOT ${slot} MIGRATING ${toId}`)
  await meanwhile()
  const keys = (await ask(from.port, `CLUSTER GETKEYSINSLOT ${slot} 1000`)).match(/^holdfast.*$/gm) ?? []
  await ask(from.port, `MIGRATE 127.0.0.1 ${to.port} "" 0 5000 KEYS ${keys.join(' ')}`)
  for (const { port } of [to, from]) await ask(port, `CLUSTER SETSLOT ${slot} NODE ${toId}`)
}

const clusterClients = [
  { client: 'node-redis', connect: connectNodeRedisCluster },
  { client: 'ioredis', connect: connectIoRedisCluster },
]

describe.skipIf(sentinel === undefined).each(clusterClients)(
  'redisStore in a cluster, through $client',
  ({ connect }) => {
    testStore(async () => connect((await nodeAt(0)).url))
  },
)

// Each case through both clients at once: what happens to a cluster takes its time.
describe.skipIf(sentinel === undefined)('a cluster', () => {
  let connections: RedisConnection[] = []
  const apis = (): Api[] => connections.map(apiOver)

  beforeAll(async () => {
    const { url } = await nodeAt(0)
    connections = await Promise.all(clusterClients.map(({ connect }) => connect(url)))
  }, 20_000)
  afterAll(async () => {
    for (const { quit } of connections) await quit()
  })

  test('has scopes spread over its nodes, and each node learns the scripts', async () => {
    for (const api of apis()) {
      for (const node of NODES) {
        const scope = await scopeOn(node)
        expect((await api.send(scope, 'k')).status).toBe(201)
        expect(await keysIn(await slotOf(scope), await nodeAt(node))).toBe(2)
      }
    }
  })

  test('whose slot moves to another node: what is there is found, and what is new is refused meanwhile', async () => {
    await Promise.all(
      apis().map(async (api) => {
        const scope = await scopeOn(1)
        const slot = await slotOf(scope)
        const first = await api.send(scope, 'k')
        await moveSlot(slot, await nodeAt(1), await nodeAt(2), async () => {
          expectReplay(await api.send(scope, 'k'), first)
          expectUnavailable(await api.send(scope, 'new'))
        })
        expectReplay(await api.send(scope, 'k'), first)
        expect((await api.sendWhileAway(scope, 'new')).status).toBe(201)
        expect(await keysIn(slot, await nodeAt(2))).toBe(3)
        expect(api.runs).toBe(2)
      }),
    )
  })

  test('of which a node hangs, then is gone: 503 for its scopes and no other, until it is back', async () => {
    const node = await nodeAt(2)
    const scope = await scopeOn(2)
    const other = await scopeOn(0)
    const benches = await Promise.all(
      apis().map(async (api) => ({ api, first: await api.send(scope, 'before') })),
    )
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
      await node.signal(signal)
      await Promise.all(
        benches.map(async ({ api }) => {
          expectUnavailable(await api.send(scope, 'k'))
          expect((await api.send(other, signal)).status).toBe(201)
        }),
      )
    }
    await node.startAgain()
    for (const { api, first } of benches) {
      expectReplay(await api.sendWhileAway(scope, 'before'), first)
      expect((await api.sendWhileAway(scope, 'k')).status).toBe(201)
      expect(api.runs).toBe(4)
    }
  }, 30_000)
})
