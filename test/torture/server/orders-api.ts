import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener } from 'node:http'
import { idempotency, idempotencyOf } from '../../../src/idempotency/frameworks/node.ts'
import { TransactionLostError } from '../../../src/idempotency/index.ts'
import { nearCache } from '../../../src/stores/near-cache.ts'
import { TIMES } from '../settings.ts'
import type { ServerConfig } from './messages.ts'
import type { Order, Till } from '../shops/till.ts'
import type { Trap } from './trap.ts'
import { trappedStore } from './trapped-store.ts'
import { unfencedStore } from './unfenced-store.ts'

type ApiConfig = Pick<ServerConfig, 'broken' | 'nearCache'>

/**
 * An orders API: one operation, one order. No two runs of its handler give the same response, so that whoever gets
 * another one than was recorded can be told.
 */
export function ordersApi(till: Till, trap: Trap, { broken, nearCache: isNear }: ApiConfig): RequestListener {
  const { transactional } = till
  const store = broken ? unfencedStore(till.store, (lease) => till.seize(lease)) : till.store
  const trapped = trappedStore(store, trap)
  const protect = idempotency({
    store: isNear ? nearCache(trapped) : trapped,
    transactional,
    leaseMs: TIMES.leaseMs,
    storeTimeoutMs: TIMES.storeTimeoutMs,
    required: true,
    // That the store fails is what this is about: nothing is said to the log.
    onEvent() {},
  })

  const enter = async (order: Order, client: unknown): Promise<void> => {
    await trap.pass('before effect')
    await till.enter(order, client)
    await trap.pass('after effect')
  }

  const place = async (request: IncomingMessage): Promise<Order> => {
    const context = idempotencyOf(request)
    const order = { operation: await readOperation(request), mark: randomUUID() }
    if (transactional) await context.transaction((client: unknown) => enter(order, client))
    else {
      context.began()
      await enter(order, undefined)
    }
    return order
  }

  const placeOrder = protect(async (request, response) => {
    response.once('finish', () => void trap.pass('responded'))
    try {
      const order = await place(request)
      const padding = randomBytes(Math.floor(600 * Math.random())).toString('base64')
      const answer = JSON.stringify({ ...order, padding })
      response.writeHead(201, { 'content-type': 'application/json' }).end(answer)
    } catch (error) {
      // A transaction that was lost has had its answer.
      if (!(error instanceof TransactionLostError)) response.writeHead(500).end('the order failed')
      else throw error
    }
  })

  return (request, response) => {
    const placed = placeOrder(request, response)
    Promise.resolve(placed).catch(() => response.destroy())
  }
}

async function readOperation(request: IncomingMessage): Promise<number> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return (JSON.parse(Buffer.concat(chunks).toString()) as { operation: number }).operation
}
