import { Redis } from 'ioredis'
import { redisStore } from '../../../src/stores/redis/index.ts'
import { seizedBy } from '../../support/redis-record.ts'
import type { ServerConfig } from '../server/messages.ts'
import type { Order, Till } from './till.ts'

export function redisTill({ database, namespace }: ServerConfig): Till {
  const common = { connectionName: namespace, retryStrategy: () => 50 }
  // The store's scripts may be sent again: their owner token sees to that. An order may not.
  const keys = new Redis(database, { ...common, maxRetriesPerRequest: null })
  const orders = new Redis(database, {
    ...common,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 1500,
  })
  for (const client of [keys, orders]) client.on('error', () => {})
  return {
    store: redisStore({ client: keys, prefix: `${namespace}:` }),
    transactional: false,
    enter: (order: Order) => orders.rpush(`${namespace}:orders`, JSON.stringify(order)),
    async seize({ owner, key }) {
      const [record] = await keys.keys(`${namespace}:{*}:key:${key}`)
      const packed = record === undefined ? null : await keys.hgetBuffer(record, 'm')
      if (record === undefined || packed === null) return
      await keys.hset(record, { m: seizedBy(packed, owner) })
    },
  }
}
