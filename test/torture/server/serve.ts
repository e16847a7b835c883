/** A server in a process of its own: `node serve.js '<ServerConfig as JSON>'`. It ends with whoever started it. */
import { createServer } from 'node:http'
import { openTill } from '../shops/till.ts'
import type { ArmMessage, ServerConfig, ServerMessage } from './messages.ts'
import { ordersApi } from './orders-api.ts'
import { Trap } from './trap.ts'

const tell = (message: ServerMessage): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(message, () => resolve())
  })

async function serve(config: ServerConfig): Promise<void> {
  const trap = new Trap((point) => tell({ type: 'reached', point }))
  process.on('message', (message: ArmMessage) => trap.arm(message))
  const server = createServer(ordersApi(await openTill(config), trap, config))
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) void tell({ type: 'ready', port: address.port })
  })
}

/** An interrupt reaches every process of the terminal; the parent ends this one when it has cleaned up. */
process.on('SIGINT', () => {})
process.once('disconnect', () => process.exit())

serve(JSON.parse(process.argv[2] ?? '{}') as ServerConfig).catch((error: unknown) =>
  tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) }),
)
