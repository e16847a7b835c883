import assert from 'node:assert/strict'
import type { StoreEffects } from '../../src/testing/store-suite/index.ts'
import type { Faults } from './faulty-store.ts'
import { assertProblem, assertReplay } from './service-cases.ts'
import { barrier, until, type Early, type Options, type Output, type Service } from './service.ts'

/** A case for stores that share a database with the application. */
export interface TransactionCase {
  readonly name: string
  readonly options?: Options
  readonly faults?: Faults
  readonly run: (service: Service, effects: StoreEffects) => Promise<void>
}

const KEY = 'k'

type Handle = Service['handle']

/** Adds an effect and responds inside the transaction. */
function adding(effects: StoreEffects, output: Output = { status: 201, body: 'done' }): Handle {
  return ({ idempotency, early }) =>
    idempotency.transaction(async (client): Promise<Early> => {
      await effects.add(client, 'order')
      return early(output)
    })
}

const committing: readonly TransactionCase[] = [
  {
    name: 'a response from inside the transaction is committed with it at once, while the handler still runs',
    async run(service, effects) {
      const gate = barrier()
      service.handle = async (call) => {
        const response = await adding(effects)(call)
        await gate.opened
        return response
      }
      const first = service.send({ key: KEY })
      await until(() => service.events.some(({ type }) => type === 'completed'))
      assert.deepEqual(await effects.list(), ['order'])
      const again = await service.send({ key: KEY })
      gate.open()
      assertReplay(await first, again)
      assert.equal((await first).text, 'done')
      assert.equal((await first).headers.get('idempotent-replayed'), null)
      assert.equal(service.count, 1)
    },
  },
  {
    name: 'without a response the transaction stays open until there is one',
    async run(service, effects) {
      const gate = barrier()
      let resolved = false
      service.handle = async ({ idempotency }) => {
        const order = await idempotency.transaction(async (client) => {
          await effects.add(client, 'order')
          return 42
        })
        resolved = true
        await gate.opened
        return { status: 201, body: `order ${order}` }
      }
      const first = service.send({ key: KEY })
      await until(() => resolved)
      assert.deepEqual(await effects.list(), [])
      gate.open()
      assert.equal((await first).text, 'order 42')
      assert.deepEqual(await effects.list(), ['order'])
      assertReplay(await first, await service.send({ key: KEY }))
      assert.equal(service.count, 1)
    },
  },
  {
    name: 'nothing is sent before the commit',
    async run(service, effects) {
      const gate = barrier()
      let answered = false
      service.handle = ({ idempotency, early }) =>
        idempotency.transaction(async (client): Promise<Early> => {
          await effects.add(client, 'order')
          const response = early({ status: 201, body: 'done' })
          await gate.opened
          return response
        })
      const first = service.send({ key: KEY })
      void first.then(() => (answered = true))
      await until(() => service.count === 1)
      for (let turn = 0; turn < 20; turn++) await service.clock.settle()
      assert.equal(answered, false)
      gate.open()
      assert.equal((await first).text, 'done')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'a transaction that nobody awaits is committed before the response is sent',
    async run(service, effects) {
      const gate = barrier()
      service.handle = ({ idempotency }) => {
        void idempotency.transaction(async (client) => {
          await gate.opened
          await effects.add(client, 'order')
        })
        return { status: 201, body: 'done' }
      }
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      gate.open()
      assert.equal((await first).text, 'done')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  ...[200, 404, 500, 503].map((status): TransactionCase => ({
    name: `a commit saves a ${status}, too`,
    async run(service, effects) {
      service.handle = adding(effects, { status, body: 'whatever' })
      const first = await service.send({ key: KEY })
      assert.equal(first.headers.get('idempotency-status'), status >= 500 ? 'stored' : null)
      assertReplay(first, await service.send({ key: KEY }))
      assert.deepEqual(await effects.list(), ['order'])
    },
  })),
  {
    name: 'a stream can be answered from inside, and its duplicates are told that it is gone',
    async run(service, effects) {
      const headers = { 'content-type': 'text/event-stream' }
      service.handle = adding(effects, { status: 200, headers, body: ['data: 1\n\n', 'data: 2\n\n'] })
      assert.equal((await service.send({ key: KEY })).text, 'data: 1\n\ndata: 2\n\n')
      assertProblem(await service.send({ key: KEY }), 409, 'response-not-replayable')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'of fifty identical requests at once one takes effect',
    async run(service, effects) {
      service.handle = adding(effects)
      const replies = await Promise.all(Array.from({ length: 50 }, () => service.send({ key: KEY })))
      assert.deepEqual(await effects.list(), ['order'])
      for (const { status } of replies) assert.ok(status === 201 || status === 409, String(status))
    },
  },
  {
    name: 'twenty different requests at once all take effect, one after the other',
    async run(service, effects) {
      service.handle = adding(effects)
      const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
      const replies = await Promise.all(keys.map((key) => service.send({ key })))
      assert.ok(replies.every(({ status }) => status === 201))
      assert.equal((await effects.list()).length, 20)
    },
  },
]

const rollingBack: readonly TransactionCase[] = [
  {
    name: 'a throw inside rolls back and gives the key back',
    async run(service, effects) {
      service.handle = ({ idempotency, early }) =>
        idempotency.transaction(async (client): Promise<Early> => {
          await effects.add(client, `order ${service.count}`)
          if (service.count === 1) throw new Error('not yet')
          return early({ status: 201, body: `run ${service.count}` })
        })
      await service.send({ key: KEY }).catch(() => undefined)
      assert.deepEqual(await effects.list(), [])
      assert.equal((await service.send({ key: KEY })).text, 'run 2')
      assert.deepEqual(await effects.list(), ['order 2'])
    },
  },
  {
    name: 'a throw between the transaction and the response rolls back and gives the key back',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        await idempotency.transaction((client) => effects.add(client, `order ${service.count}`))
        if (service.count === 1) throw new Error('not yet')
        return { status: 201, body: `run ${service.count}` }
      }
      await service.send({ key: KEY }).catch(() => undefined)
      assert.deepEqual(await effects.list(), [])
      assert.equal((await service.send({ key: KEY })).text, 'run 2')
      assert.deepEqual(await effects.list(), ['order 2'])
    },
  },
  {
    name: 'a handler that makes a response of the throw has it sent, not saved, whatever its status',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        try {
          await idempotency.transaction(async (client) => {
            await effects.add(client, 'order')
            throw new Error('out of stock')
          })
        } catch (error) {
          return { status: 200, body: `${String(error)}, run ${service.count}` }
        }
        return {}
      }
      assert.equal((await service.send({ key: KEY })).text, 'Error: out of stock, run 1')
      assert.equal((await service.send({ key: KEY })).text, 'Error: out of stock, run 2')
      assert.deepEqual(await effects.list(), [])
    },
  },
  {
    name: 'what began outside of the transaction is saved although it rolled back',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        idempotency.began()
        await idempotency
          .transaction(async (client) => {
            await effects.add(client, 'order')
            throw new Error('rolled back')
          })
          .catch(() => {})
        return { status: 409, body: `run ${service.count}` }
      }
      const first = await service.send({ key: KEY })
      assertReplay(first, await service.send({ key: KEY }))
      assert.equal(service.count, 1)
      assert.deepEqual(await effects.list(), [])
    },
  },
  {
    name: 'a response made inside is not sent when the transaction rolls back',
    async run(service, effects) {
      service.handle = async ({ idempotency, early }) => {
        try {
          return await idempotency.transaction(async (client): Promise<Early> => {
            await effects.add(client, 'order')
            early({ status: 201, headers: { 'x-made': 'inside' }, body: 'created' })
            await service.clock.settle()
            throw new Error('rolled back')
          })
        } catch {
          return { status: 409, body: 'not created' }
        }
      }
      const reply = await service.send({ key: KEY })
      assert.equal(reply.status, 409)
      assert.equal(reply.text, 'not created')
      assert.equal(reply.headers.get('x-made'), null)
      assert.deepEqual(await effects.list(), [])
    },
  },
]

const losing: readonly TransactionCase[] = [
  {
    name: 'a lost owner leaves nothing behind, and the next request runs: takeover is the default here',
    options: { transactional: true },
    async run(service, effects) {
      service.handle = adding(effects)
      const gone = barrier()
      const { handle } = service
      service.handle = async (call) => {
        if (service.count === 1) await gone.opened
        return handle(call)
      }
      // The first owner has lost its way to the store, and stands still past its lease.
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      await service.clock.advance(30_001)
      assert.equal((await service.send({ key: KEY })).text, 'done')
      gone.open()
      const late = await first
      assert.equal(late.headers.get('idempotent-replayed'), 'true')
      assert.deepEqual(await effects.list(), ['order'])
      assert.equal(service.count, 2)
    },
    faults: { heartbeat: Array.from({ length: 100 }, () => 'before' as const) },
  },
  {
    name: 'a transaction that can not begin costs a 503, runs nothing, and gives the key back',
    faults: { begin: ['before'] },
    async run(service, effects) {
      service.handle = adding(effects)
      assertProblem(await service.send({ key: KEY }), 503, 'store-unavailable')
      assert.deepEqual(await effects.list(), [])
      assert.equal((await service.send({ key: KEY })).text, 'done')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'a commit that fails undoes the effect, costs a 503, and gives the key back',
    faults: { commit: ['before'] },
    async run(service, effects) {
      service.handle = adding(effects)
      assertProblem(await service.send({ key: KEY }), 503, 'store-unavailable')
      assert.deepEqual(await effects.list(), [])
      assert.equal((await service.send({ key: KEY })).text, 'done')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'a commit that succeeded but whose answer got lost is found out',
    faults: { commit: ['after'] },
    async run(service, effects) {
      service.handle = adding(effects)
      const first = await service.send({ key: KEY })
      assert.equal(first.text, 'done')
      assertReplay(first, await service.send({ key: KEY }))
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'a commit of which nothing can be found out leaves the outcome unknown and the key blocked',
    faults: { commit: ['before'], rollback: ['after'] },
    async run(service, effects) {
      service.handle = adding(effects)
      assertProblem(await service.send({ key: KEY }), 409, 'outcome-unknown')
      assertProblem(await service.send({ key: KEY }), 409, 'request-in-flight')
      assert.equal(service.count, 1)
    },
  },
]

const without: readonly TransactionCase[] = [
  {
    name: 'without a key the transaction commits when the function has resolved, and rolls back when it throws',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        await idempotency.transaction(async (client) => {
          await effects.add(client, `order ${service.count}`)
          if (service.count === 2) throw new Error('no')
        })
        return { status: 201, body: 'done' }
      }
      assert.equal((await service.send()).text, 'done')
      await service.send().catch(() => undefined)
      assert.equal((await service.send()).text, 'done')
      assert.deepEqual(await effects.list(), ['order 1', 'order 3'])
    },
  },
  {
    name: 'without a key nothing is sent before the commit',
    async run(service, effects) {
      const gate = barrier()
      let answered = false
      service.handle = ({ idempotency, early }) =>
        idempotency.transaction(async (client): Promise<Early> => {
          await effects.add(client, 'order')
          const response = early({ status: 201, headers: { 'x-made': 'inside' }, body: ['do', 'ne'] })
          await gate.opened
          return response
        })
      const sent = service.send()
      void sent.then(() => (answered = true))
      await until(() => service.count === 1)
      for (let turn = 0; turn < 20; turn++) await service.clock.settle()
      assert.equal(answered, false)
      gate.open()
      const reply = await sent
      assert.deepEqual([reply.status, reply.text, reply.headers.get('x-made')], [201, 'done', 'inside'])
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  ...[undefined, KEY].map((key): TransactionCase => ({
    name: `a response made inside is not sent when only the commit fails, ${key === undefined ? 'without' : 'with'} a key`,
    async run(service, effects) {
      service.handle = ({ idempotency, early }) =>
        idempotency.transaction(async (client): Promise<Early> => {
          if (service.count === 1) await effects.addDoomed(client, 'doomed')
          else await effects.add(client, 'order')
          return early({ status: 201, headers: { 'x-made': 'inside' }, body: 'created' })
        })
      const reply = await service.send({ key }).catch(() => undefined)
      assert.notEqual(reply?.status, 201)
      assert.notEqual(reply?.text, 'created')
      assert.equal(reply?.headers.get('x-made') ?? null, null)
      assert.deepEqual(await effects.list(), [])
      assert.equal((await service.send({ key })).text, 'created')
      assert.deepEqual(await effects.list(), ['order'])
    },
  })),
  {
    name: 'without a key a handler learns that the commit failed, and may respond to that',
    async run(service, effects) {
      service.handle = async ({ idempotency, early }) => {
        try {
          return await idempotency.transaction(async (client): Promise<Early> => {
            await effects.addDoomed(client, 'order')
            return early({ status: 201, headers: { 'x-made': 'inside' }, body: 'created' })
          })
        } catch (error) {
          return { status: 409, body: error instanceof Error ? 'not created' : 'no error' }
        }
      }
      const reply = await service.send()
      assert.deepEqual([reply.status, reply.text], [409, 'not created'])
      assert.equal(reply.headers.get('x-made'), null)
      assert.deepEqual(await effects.list(), [])
    },
  },
  {
    name: 'without a key a response made in a transaction whose commit may have failed is not sent',
    faults: { commit: ['before', 'after'] },
    async run(service, effects) {
      service.handle = adding(effects)
      for (const _ of [1, 2]) {
        const reply = await service.send().catch(() => undefined)
        assert.notEqual(reply?.status, 201)
      }
      assert.deepEqual(await effects.list(), ['order'])
      assert.equal((await service.send()).text, 'done')
    },
  },
  {
    name: 'without a key a transaction that nobody awaits is committed before the response is sent',
    async run(service, effects) {
      const gate = barrier()
      service.handle = ({ idempotency }) => {
        void idempotency.transaction(async (client) => {
          await gate.opened
          await effects.add(client, 'order')
        })
        return { status: 201, body: 'done' }
      }
      const sent = service.send()
      await until(() => service.count === 1)
      gate.open()
      assert.equal((await sent).text, 'done')
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
  {
    name: 'without a key a request may have several transactions, and what comes after them is sent at once',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        await idempotency.transaction((client) => effects.add(client, 'one'))
        await idempotency.transaction((client) => effects.add(client, 'two'))
        return { status: 201, headers: { 'x-made': 'after' }, body: ['do', 'ne'] }
      }
      const reply = await service.send()
      assert.deepEqual([reply.status, reply.text, reply.headers.get('x-made')], [201, 'done', 'after'])
      assert.deepEqual(await effects.list(), ['one', 'two'])
    },
  },
  {
    name: 'a request has one transaction',
    async run(service, effects) {
      service.handle = async ({ idempotency }) => {
        await idempotency.transaction((client) => effects.add(client, 'order'))
        const second = await idempotency.transaction(() => 'again').catch((error: unknown) => String(error))
        return { status: 201, body: second }
      }
      assert.match((await service.send({ key: KEY })).text, /a request has one transaction/)
      assert.deepEqual(await effects.list(), ['order'])
    },
  },
]

export const transactionCases: readonly TransactionCase[] = [
  ...committing,
  ...rollingBack,
  ...losing,
  ...without,
]
