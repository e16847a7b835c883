import type { Target } from '../proxy/link.ts'
import type { ServerConfig } from '../server/messages.ts'
import type { ShopName } from '../settings.ts'
import type { Order } from './till.ts'

/** A key as the database has it when all is over. */
export interface KeptRecord {
  readonly key: string
  readonly state: 'active' | 'done' | 'released'
  /** Of a finished one: what `encodeRecord` made. */
  readonly response: Uint8Array | undefined
}

/** The database of one run, as the torture sees it: made before, read after, removed in the end. */
export interface Shop {
  readonly transactional: boolean
  /** What it is, with its version. */
  readonly product: string
  /** Where the database listens, for a link in front of it; a file has none. */
  readonly address: Target | undefined
  /** What a server is told, which reaches the database through a link on this port. */
  config(linkPort: number | undefined): Pick<ServerConfig, 'database' | 'namespace'>
  /** Resolves when nothing of a dead server is at work in the database any more. */
  quiet(): Promise<void>
  orders(): Promise<Order[]>
  records(): Promise<KeptRecord[]>
  /** Removes everything. */
  close(): Promise<void>
}

export async function openShop(name: ShopName): Promise<Shop> {
  if (name === 'postgres') return (await import('./postgres-shop.ts')).postgresShop()
  if (name === 'redis') return (await import('./redis-shop.ts')).redisShop()
  return (await import('./sqlite-shop.ts')).sqliteShop()
}

/** Asks until the answer is yes. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; !(await condition()); turn++) {
    if (turn > 500) throw new Error(`${what}: not after 10 s`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The same address through another port. */
export function throughPort(url: string, port: number | undefined): string {
  const changed = new URL(url)
  changed.hostname = '127.0.0.1'
  changed.port = String(port)
  return changed.href
}
