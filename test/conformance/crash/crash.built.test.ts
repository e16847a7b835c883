import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../../src/stores/sqlite/driver.ts'
import { temporaryFolder } from '../stores-under-test.ts'

const LEASE_MS = 600
const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url))

interface ServerConfig {
  readonly database: string
  /** Where effects outside of the database go. */
  readonly effects: string
  readonly mode: 'lease' | 'transaction'
  readonly leaseMs: number
  readonly abandoned: 'block' | 'takeover'
  /** Where the process stops and waits: for a signal, or for its end. */
  readonly stopAt?: string
}

interface Running extends AsyncDisposable {
  readonly child: ChildProcess
  /** Where its handler has been. */
  readonly steps: string[]
  readonly send: () => Promise<Response>
}

async function start(config: ServerConfig): Promise<Running> {
  const child = spawn(process.execPath, [SERVER, JSON.stringify(config)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const steps: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => steps.push(line))
  await until(() => steps.length > 0)
  const url = `http://127.0.0.1:${steps.shift()?.replace('port ', '')}/orders`
  return {
    child,
    steps,
    send: () => fetch(url, { method: 'POST', headers: { 'idempotency-key': 'k' }, body: 'order' }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

interface Setting extends AsyncDisposable {
  readonly start: (config: Partial<ServerConfig>) => Promise<Running>
  readonly effects: () => Promise<string[]>
  readonly rows: () => Promise<{ readonly orders: number; readonly ledger: number; readonly done: number }>
}

async function setting(common: Partial<ServerConfig>): Promise<Setting> {
  const folder = await temporaryFolder()
  const database = join(folder.path, 'shop.db')
  const effects = join(folder.path, 'effects')
  await writeFile(effects, '')
  const own = await openDatabase(database)
  own.exec('PRAGMA journal_mode = WAL; CREATE TABLE orders (maker TEXT); CREATE TABLE ledger (maker TEXT)')
  const count = (sql: string): number => Number(Object.values(Object(own.prepare(sql).get()))[0])
  return {
    start: (config) =>
      start({
        database,
        effects,
        mode: 'lease',
        leaseMs: LEASE_MS,
        abandoned: 'block',
        ...common,
        ...config,
      }),
    effects: async () => (await readFile(effects, 'utf8')).split('\n').filter(Boolean),
    rows: async () => ({
      orders: count('SELECT count(*) FROM orders'),
      ledger: count('SELECT count(*) FROM ledger'),
      done: count("SELECT count(*) FROM holdfast_keys WHERE state = 'done'"),
    }),
    async [Symbol.asyncDispose]() {
      own.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Kills a server, without notice, once its handler has got there. */
async function killAt(running: Running, step: string): Promise<void> {
  const sent = running.send().catch(() => undefined)
  await until(() => running.steps.includes(step))
  running.child.kill('SIGKILL')
  await once(running.child, 'exit')
  await sent
}

const codeOf = async (response: Response): Promise<unknown> =>
  Reflect.get(Object(await response.json()), 'code')

/** Sleeps in between: the servers need the processor. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5000) throw new Error('the condition did not come true')
    await pause(2)
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

describe('a server that is killed', () => {
  test('while its handler runs leaves the key in flight for its lease, then blocked: nothing runs twice', async () => {
    await using shop = await setting({ abandoned: 'block' })
    await using first = await shop.start({ stopAt: 'effect' })
    await using second = await shop.start({})
    await killAt(first, 'effect')
    expect(await codeOf(await second.send())).toBe('request-in-flight')
    await pause(LEASE_MS)
    for (let time = 0; time < 3; time++) {
      const response = await second.send()
      expect(response.status).toBe(409)
      expect(response.headers.get('retry-after')).toBeNull()
      expect(await codeOf(response)).toBe('outcome-unknown')
    }
    expect((await shop.effects()).length).toBe(1)
  })

  test('while its handler runs is taken over after its lease where that is allowed', async () => {
    await using shop = await setting({ abandoned: 'takeover' })
    await using first = await shop.start({ stopAt: 'effect' })
    await using second = await shop.start({})
    await killAt(first, 'effect')
    expect(await codeOf(await second.send())).toBe('request-in-flight')
    await pause(LEASE_MS)
    expect(await (await second.send()).text()).toBe(`made by ${second.child.pid}`)
    const again = await second.send()
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await shop.effects()).length).toBe(2)
  })

  test.each(['handler', 'begun', 'inserted', 'inserted twice', 'after the transaction', 'responded'])(
    'in its transaction at "%s" leaves both, effect and record, or neither; a retry makes it exactly one',
    async (stopAt) => {
      await using shop = await setting({ mode: 'transaction', abandoned: 'takeover', leaseMs: 150 })
      await using first = await shop.start({ stopAt })
      await using second = await shop.start({})
      await killAt(first, stopAt)
      const left = await shop.rows()
      expect(left.orders).toBe(left.done)
      expect(left.ledger).toBe(left.done)
      await pause(150)
      const response = await second.send()
      expect(response.status).toBe(201)
      expect(await shop.rows()).toEqual({ orders: 1, ledger: 1, done: 1 })
      expect((await second.send()).headers.get('idempotent-replayed')).toBe('true')
    },
  )
})

describe('a server that is frozen past its lease', () => {
  test('wakes up as a stale owner: it can not overwrite its successor, and sends what that one recorded', async () => {
    await using shop = await setting({ abandoned: 'takeover' })
    await using first = await shop.start({ stopAt: 'effect' })
    await using second = await shop.start({})
    const late = first.send()
    await until(() => first.steps.includes('effect'))
    first.child.kill('SIGSTOP')
    await pause(LEASE_MS + 50)
    const winner = await second.send()
    expect(await winner.text()).toBe(`made by ${second.child.pid}`)
    first.child.kill('SIGCONT')
    first.child.kill('SIGUSR2')
    const response = await late
    expect(await response.text()).toBe(`made by ${second.child.pid}`)
    expect(response.headers.get('idempotent-replayed')).toBe('true')
    expect(await (await first.send()).text()).toBe(`made by ${second.child.pid}`)
  })

  test('in its transaction keeps everybody else out, and completes when it wakes up', async () => {
    await using shop = await setting({ mode: 'transaction', abandoned: 'takeover' })
    await using first = await shop.start({ stopAt: 'inserted' })
    await using second = await shop.start({})
    const late = first.send()
    await until(() => first.steps.includes('inserted'))
    first.child.kill('SIGSTOP')
    await pause(LEASE_MS + 50)
    const refused = await second.send()
    expect([refused.status, await codeOf(refused)]).toEqual([503, 'store-unavailable'])
    first.child.kill('SIGCONT')
    first.child.kill('SIGUSR2')
    expect(await (await late).text()).toBe(`made by ${first.child.pid}`)
    expect(await (await second.send()).text()).toBe(`made by ${first.child.pid}`)
    expect(await shop.rows()).toEqual({ orders: 1, ledger: 1, done: 1 })
  })
})
