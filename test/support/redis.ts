/** Clients of Redis, as an application connects them. */
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import type { RedisClient, SendCommand } from '../../src/stores/redis/client.ts'

export interface RedisConnection {
  readonly client: RedisClient
  readonly quit: () => Promise<unknown>
}

/** Of node-redis, whose names for both changed with version 5. */
interface Ending {
  close?(): Promise<unknown>
  quit(): Promise<unknown>
  destroy?(): void
  disconnect(): unknown
}

const ended = (client: Ending): Promise<unknown> => client.close?.() ?? client.quit()

/** Ends the connections at once. */
export function cut(client: Omit<Ending, 'close' | 'quit'>): void {
  if (client.destroy === undefined) client.disconnect()
  else client.destroy()
}

export async function connectIoRedis(url: string): Promise<RedisConnection> {
  const client = new Redis(url, { lazyConnect: true })
  await client.connect()
  return { client, quit: () => client.quit() }
}

export async function connectNodeRedis(url: string): Promise<RedisConnection> {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  return { client, quit: () => ended(client) }
}

export async function connectNodeRedisSentinel(name: string, port: number): Promise<RedisConnection> {
  const client = createSentinel({ name, sentinelRootNodes: [{ host: '127.0.0.1', port }] })
  client.on('error', () => {})
  await client.connect()
  return { client, quit: () => client.close() }
}

export async function connectIoRedisSentinel(name: string, port: number): Promise<RedisConnection> {
  const client = new Redis({ name, sentinels: [{ host: '127.0.0.1', port }], lazyConnect: true })
  await client.connect()
  return { client, quit: () => client.quit() }
}

/** @param url of one of its nodes */
export async function connectNodeRedisCluster(url: string): Promise<RedisConnection> {
  const defaults = { socket: { reconnectStrategy: () => 50 } }
  const client = createCluster({ rootNodes: [{ url }], defaults })
  client.on('error', () => {})
  await client.connect()
  return { client, quit: async () => cut(client) }
}

/** @param url of one of its nodes */
export async function connectIoRedisCluster(url: string): Promise<RedisConnection> {
  const client = new Cluster([url], { lazyConnect: true })
  client.on('error', () => {})
  await client.connect()
  return { client, quit: async () => client.disconnect() }
}

/** Deletes every key with this prefix. */
export async function deleteAll(send: SendCommand, prefix: string): Promise<void> {
  const pattern = `${prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`
  const keys = (await send('', ['KEYS', pattern])) as Buffer[]
  if (keys.length > 0) await send('', ['DEL', ...keys])
}
