/** The orders API's own process: `node serve.js <database>`. It tells its parent where it listens, and ends with it. */
import { createServer } from 'node:http'
import { openDatabase } from '../../../stores/sqlite/driver.ts'
import { ordersApi } from './orders-api.ts'

export type ApiMessage =
  | { readonly type: 'ready'; readonly url: string }
  | { readonly type: 'failed'; readonly reason: string }

const tell = (message: ApiMessage): void => void process.send?.(message)

async function serve(databasePath: string): Promise<void> {
  const database = await openDatabase(databasePath)
  database.exec('PRAGMA journal_mode = WAL')
  const server = createServer(ordersApi(database))
  // The fault server keeps its connections for as long as it lives.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) {
      tell({ type: 'ready', url: `http://127.0.0.1:${address.port}` })
    }
  })
}

/** Interrupting the demo reaches every process of the terminal; the parent ends this one when it has cleaned up. */
process.on('SIGINT', () => {})
process.once('disconnect', () => process.exit())

serve(process.argv[2] ?? ':memory:').catch((error: unknown) =>
  tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) }),
)
