/**
 * Keys in Redis: for many processes on many machines.
 *
 * @module
 */
import type { IdempotencyStore } from '../../idempotency/store.ts'
import { checkKeys, invalidOption } from '../../primitives/validate.ts'
import { senderOf, type RedisClient } from './client.ts'
import { RedisStore } from './redis-store.ts'

export type {
  IoRedisClient,
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisSentinel,
  RedisClient,
} from './client.ts'

/** What `redisStore()` does unless told otherwise. */
export const REDIS_STORE_DEFAULTS = { prefix: 'holdfast:' } as const

export interface RedisStoreOptions {
  /** A connected client of ioredis or node-redis: single, cluster or behind Sentinel. `close()` leaves it open. */
  client: RedisClient
  /** What all keys in Redis begin with. Default `'holdfast:'`. */
  prefix?: string | undefined
}

/**
 * A store in Redis 6.2 or later, with `maxmemory-policy noeviction`. Leases run by the server's clock. Each operation is
 * one script, so one round trip; all keys of a scope are in one hash slot.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @example
 * const protect = idempotency({ store: redisStore({ client: new Redis() }) })
 */
export function redisStore(options: RedisStoreOptions): IdempotencyStore {
  checkKeys('redisStore', options, ['client', 'prefix'])
  const { client, prefix = REDIS_STORE_DEFAULTS.prefix } = options
  // Braces in it would decide the hash slot in place of the scope.
  if (typeof prefix !== 'string' || /[{}]/.test(prefix)) {
    throw invalidOption('redisStore: prefix', 'a text without braces', prefix)
  }
  return new RedisStore({ send: senderOf(client), prefix })
}
