import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'

export const REDIS_PORT = 6379

/** A client whose keys all begin with a prefix of their own. */
export interface KeysInRedis {
  readonly client: Redis
  readonly prefix: string
  /** Forgets them. */
  readonly close: () => Promise<void>
}

export async function redisForKeys(): Promise<KeysInRedis> {
  const client = new Redis({ port: REDIS_PORT, lazyConnect: true })
  await client.connect()
  const prefix = `holdfast-bench:${randomUUID()}:`
  return {
    client,
    prefix,
    async close() {
      const keys = await client.keys(`${prefix}*`)
      while (keys.length > 0) await client.del(keys.splice(0, 1000))
      await client.quit()
    },
  }
}
