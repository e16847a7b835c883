import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { idempotency, idempotencyOf } from '../../../idempotency/frameworks/node.ts'
import type { SqliteDatabase } from '../../../stores/sqlite/driver.ts'
import { sqliteStore } from '../../../stores/sqlite/index.ts'
import type { Order } from '../order.ts'

const TABLE = `CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY, number INTEGER NOT NULL, item TEXT NOT NULL, quantity INTEGER NOT NULL
)`

/**
 * An orders API as any team could have written it, with the idempotency layer around: each order is a row, and the row
 * and the remembered answer are one transaction. Nothing but the key keeps an order from being placed twice.
 */
export function ordersApi(database: SqliteDatabase): RequestListener {
  database.exec(TABLE)
  const insert = database.prepare('INSERT INTO orders (number, item, quantity) VALUES (?, ?, ?) RETURNING id')
  const protect = idempotency({ store: sqliteStore({ database }), transactional: true })

  const placeOrder = protect(async (request, response) => {
    const { number, item, quantity } = await readOrder(request)
    const row = await idempotencyOf(request).transaction(
      () => insert.get(number, item, quantity) as { id: number },
    )
    sendJson(response, 201, { order: number, id: row.id })
  })

  /** For the count at the end. */
  const listOrders: RequestListener = (_, response) => {
    sendJson(
      response,
      200,
      database.prepare('SELECT number, count(*) AS rows FROM orders GROUP BY number').all(),
    )
  }

  return (request, response) => {
    if (request.method === 'POST') placeOrder(request, response).catch(() => response.destroy())
    else listOrders(request, response)
  }
}

async function readOrder(request: IncomingMessage): Promise<Order> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString()) as Order
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
