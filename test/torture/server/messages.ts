import type { Point } from '../plan/points.ts'
import type { ShopName } from '../settings.ts'

/** What a server process is told when it starts. */
export interface ServerConfig {
  readonly shop: ShopName
  /** Where its database is: a URL through the store's link, or a file. */
  readonly database: string
  /** What the names in a shared database begin with: a schema, a prefix. */
  readonly namespace: string
  readonly broken: boolean
  /** Whether it keeps a near cache before its store. */
  readonly nearCache: boolean
}

/** From the supervisor: next time you get there, die or stand still. */
export interface ArmMessage {
  readonly point: Point
  readonly how: 'kill' | 'freeze'
  readonly delayMs: number
}

/** From the server. */
export type ServerMessage =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'failed'; readonly reason: string }
  /** It is there, and is about to do as it was told. */
  | { readonly type: 'reached'; readonly point: Point }
