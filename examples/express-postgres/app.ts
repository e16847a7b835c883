import express, { type Express } from 'express'
import { idempotency, idempotencyOf } from 'holdfast/idempotency/express'
import { postgresStore } from 'holdfast/stores/postgres'
import type { Pool, PoolClient } from 'pg'

/** An orders API: an order and the memory of its key are one transaction, so neither is ever there without the other. */
export async function ordersApp(pool: Pool, schema = 'public'): Promise<Express> {
  const store = postgresStore({ pool, schema })
  await store.migrate()
  await pool.query(`
    CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL);
    CREATE TABLE IF NOT EXISTS shipments (order_id integer REFERENCES orders, address text NOT NULL)
  `)

  const app = express()
  // After authentication, whose user `scope` would name, and before parsers.
  app.use(idempotency({ store, transactional: true }))
  app.use(express.json())

  app.post('/orders', async (request, response) => {
    const { item, address } = request.body as { item: string; address?: string }
    const order = await idempotencyOf(request).transaction(async (db: PoolClient) => {
      const insert = 'INSERT INTO orders (item) VALUES ($1) RETURNING id'
      const { rows } = await db.query<{ id: number }>(insert, [item])
      await db.query('INSERT INTO shipments VALUES ($1, $2)', [rows[0]?.id, address])
      return rows[0]
    })
    response.status(201).json(order)
  })

  app.get('/orders', async (_, response) => {
    const { rows } = await pool.query('SELECT id, item FROM orders ORDER BY id')
    response.json(rows)
  })
  return app
}
