import { Pool } from 'pg'
import { ordersApp } from './app.ts'

const pool = new Pool({ connectionString: process.env['DATABASE_URL'] ?? 'postgres://127.0.0.1/shop' })
// An idle connection that breaks ends the process without.
pool.on('error', (error) => console.error(error))

const app = await ordersApp(pool)
app.listen(3000, () => console.log('http://127.0.0.1:3000/orders'))
