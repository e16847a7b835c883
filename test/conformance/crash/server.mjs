/**
 * A service in a process of its own, to be killed and frozen. Many requests can stand still in it, each at its own place
 * and in its own order: `POST /<store>/<policy>/<order>/<leaseMs>`, with a header `stop-at`.
 */
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { idempotency, idempotencyOf } from 'holdfast/idempotency/node'

/** As crash.built.test.ts describes it. */
const config = JSON.parse(process.argv[2] ?? '{}')
const name = String(process.pid)
/** Listened for before anybody stands still: by default the signal ends the process. */
const woken = once(process, 'SIGUSR2')

// It ends with whoever started it.
process.stdin.resume().once('end', () => process.exit())

/** For each store: how one is opened, and how an order is entered in its transaction. */
const kinds = {
  async sqlite() {
    const { sqliteStore } = await import('holdfast/stores/sqlite')
    return {
      // A transaction that stands still has its file to itself.
      open: (order) => sqliteStore({ path: `${config.folder}/${order}.db` }),
      enter: (database, table, order) =>
        database.prepare(`INSERT INTO ${table} VALUES (?, ?)`).run(order, name),
    }
  },
  async redis() {
    const [{ redisStore }, { Redis }] = await Promise.all([
      import('holdfast/stores/redis'),
      import('ioredis'),
    ])
    const store = { client: new Redis(config.redis), prefix: config.prefix }
    return { open: () => redisStore(store) }
  },
  async postgres() {
    const [{ postgresStore }, { default: pg }] = await Promise.all([
      import('holdfast/stores/postgres'),
      import('pg'),
    ])
    const { schema } = config
    const pool = new pg.Pool({ connectionString: config.postgres, max: 20 })
    pool.on('error', () => {})
    return {
      open: () => postgresStore({ pool, schema }),
      enter: (client, table, order) =>
        client.query(`INSERT INTO "${schema}".${table} VALUES ($1, $2)`, [order, name]),
    }
  },
}

/** Can stand still before and after the response is recorded. */
function stopping(recorder, step) {
  const complete = recorder.complete.bind(recorder)
  return Object.assign(recorder, {
    async complete(...args) {
      await step('completing')
      const result = await complete(...args)
      await step('completed')
      return result
    },
  })
}

function stoppingStore(store, step) {
  const begin = store.begin?.bind(store)
  if (begin === undefined) return stopping(store, step)
  return Object.assign(stopping(store, step), {
    async begin(lease) {
      const transaction = await begin(lease)
      return transaction === 'stale' ? transaction : stopping(transaction, step)
    },
  })
}

/** What happens in one order's requests. */
function ordering({ open, enter }, policy, order, leaseMs) {
  let stopAt
  const step = async (at) => {
    if (at !== stopAt) return
    process.stdout.write(`${order}\n`)
    await woken
  }
  const transactional = policy === 'transaction'
  const protect = idempotency({
    store: stoppingStore(open(order), step),
    leaseMs: Number(leaseMs),
    storeTimeoutMs: config.storeTimeoutMs,
    // Whatever stays behind in a server that others use, too, goes by itself.
    ttlMs: 60_000,
    ...(transactional ? { transactional } : { abandoned: policy }),
  })
  const handler = protect(async (request, response) => {
    await step('handler')
    if (transactional) {
      await idempotencyOf(request).transaction(async (client) => {
        await step('begun')
        await enter(client, 'orders', order)
        await step('inserted')
        await enter(client, 'ledger', order)
        await step('inserted twice')
      })
      await step('after the transaction')
    } else {
      // Written at once: it survives whatever happens to the process.
      appendFileSync(config.effects, `${order}\n`)
      await step('effect')
    }
    response.writeHead(201).end(`made by ${name}`)
  })
  return (request, response) => {
    stopAt = request.headers['stop-at']
    return handler(request, response)
  }
}

const opened = {}
for (const store of config.stores) opened[store] = await kinds[store]()

const handlers = new Map()
const server = createServer((request, response) => {
  const [, store, policy, order, leaseMs] = request.url.split('/')
  if (!handlers.has(order)) handlers.set(order, ordering(opened[store], policy, order, leaseMs))
  handlers.get(order)(request, response)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
