/** The types of the server half, as a user meets them; see fetch.test-d.ts. */
import type { RequestListener } from 'node:http'
import { idempotency as forNode } from '../../src/idempotency/frameworks/node.ts'
import { idempotency, idempotencyOf, type IdempotencyEvent } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore, type SqliteDatabase } from '../../src/stores/sqlite/index.ts'

declare function use(...values: unknown[]): void
const store = memoryStore()
const request = new Request('https://api.example.com')

// A protected handler has the shape of the one it protects, its further arguments included.
const plain = idempotency({ store })(() => new Response())
use(plain(request) satisfies Promise<Response>)
interface Environment {
  readonly REGION: string
}
const worker = idempotency({ store })((_request, env: Environment) => new Response(env.REGION))
use(worker(request, { REGION: 'eu' }))
// @ts-expect-error The handler needs its second argument.
use(worker(request))
// @ts-expect-error A handler gives a response.
use(idempotency({ store })(() => 'ok'))

// Options that can't work are refused.
// @ts-expect-error Without a store nothing is remembered.
use(idempotency({}))
// @ts-expect-error No such policy.
use(idempotency({ store, abandoned: 'retry' }))
// @ts-expect-error A store needs a file or a database.
use(sqliteStore({}))
// @ts-expect-error One of them, not both.
use(sqliteStore({ path: 'keys.db', database: {} }))

// The scope is asked about the framework's own request.
use(idempotency({ store, scope: ({ headers }) => headers.get('x-tenant') ?? 'none' }))
use(forNode({ store, scope: ({ socket }) => socket.remoteAddress ?? 'none' }))
use(forNode({ store })((_, response) => response.end()) satisfies RequestListener)

// A transaction gives back what its function gives, and hands out the store's own client.
const operation = idempotencyOf(request)
use(operation.transaction(() => 1) satisfies Promise<number>)
use(operation.transaction(async (database: SqliteDatabase) => database.prepare('SELECT 1').get()))

// Events are one union, told apart by `type`.
function describe(event: IdempotencyEvent): number | undefined {
  return event.type === 'replayed' ? event.status : undefined
}
use(describe)
