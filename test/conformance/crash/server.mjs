/**
 * A service in a process of its own, to be killed and frozen. Every effect is a line in a file of its own, written
 * and flushed at once: it survives whatever happens to the process.
 */
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { idempotency, idempotencyOf } from 'holdfast/idempotency/node'
import { sqliteStore } from 'holdfast/stores/sqlite'

/** As crash.built.test.ts describes it. */
const config = JSON.parse(process.argv[2] ?? '{}')
const name = String(process.pid)

/** Says where the handler is, and goes no further where it was told to stop. */
async function step(at) {
  // Listened for before anybody is told: by default the signal ends the process.
  const going = at === config.stopAt ? once(process, 'SIGUSR2') : undefined
  process.stdout.write(`${at}\n`)
  await going
}

const options = {
  store: sqliteStore({ path: config.database }),
  leaseMs: config.leaseMs,
  abandoned: config.abandoned,
  transactional: config.mode === 'transaction',
}

const server = createServer(
  idempotency(options)(async (request, response) => {
    await step('handler')
    if (config.mode === 'lease') {
      appendFileSync(config.effects, `${name}\n`)
      await step('effect')
      response.writeHead(201).end(`made by ${name}`)
      return
    }
    await idempotencyOf(request).transaction(async (database) => {
      await step('begun')
      database.prepare('INSERT INTO orders (maker) VALUES (?)').run(name)
      await step('inserted')
      database.prepare('INSERT INTO ledger (maker) VALUES (?)').run(name)
      await step('inserted twice')
    })
    await step('after the transaction')
    response.writeHead(201).end(`made by ${name}`)
    await step('responded')
  }),
)
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${server.address().port}\n`))
