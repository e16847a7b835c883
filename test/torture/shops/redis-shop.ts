import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { stateOf } from '../../support/redis-record.ts'
import { redisUrl } from '../../support/redis-server.ts'
import { throughPort, until, type KeptRecord, type Shop } from './shop.ts'
import type { Order } from './till.ts'

export async function redisShop(): Promise<Shop> {
  const url = await redisUrl()
  const namespace = `torture-${randomUUID().slice(0, 8)}`
  const client = new Redis(url)
  const { hostname, port } = new URL(url)
  return {
    transactional: false,
    product: `Redis ${/redis_version:(\S+)/.exec(await client.info('server'))?.[1]}`,
    address: { host: hostname, port: port === '' ? 6379 : Number(port) },
    config: (linkPort) => ({ database: throughPort(url, linkPort), namespace }),
    quiet: () =>
      until(
        async () => !String(await client.call('CLIENT', 'LIST')).includes(`name=${namespace}`),
        'sessions end',
      ),
    orders: async () =>
      (await client.lrange(`${namespace}:orders`, 0, -1)).map((line) => JSON.parse(line) as Order),
    records: () => recordsIn(client, namespace),
    async close() {
      for (const keys of chunks(await allKeys(client, `${namespace}:*`), 1000)) await client.del(...keys)
      await client.quit()
    },
  }
}

async function recordsIn(client: Redis, namespace: string): Promise<KeptRecord[]> {
  const records: KeptRecord[] = []
  for (const names of chunks(await allKeys(client, `${namespace}:{*}:key:*`), 500)) {
    const found = await Promise.all(names.map((name) => client.hmgetBuffer(name, 'm', 'b')))
    for (const [index, [packed, response]] of found.entries()) {
      const key = names[index]?.split(':key:')[1] ?? ''
      if (!packed) throw new Error(`no record of Holdfast: ${names[index]}`)
      records.push({ key, state: stateOf(packed), response: response ?? undefined })
    }
  }
  return records
}

async function allKeys(client: Redis, pattern: string): Promise<string[]> {
  const found = new Set<string>()
  for await (const names of client.scanStream({ match: pattern, count: 1000 }))
    for (const name of names as string[]) found.add(name)
  return [...found]
}

function chunks<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) =>
    values.slice(index * size, (index + 1) * size),
  )
}
