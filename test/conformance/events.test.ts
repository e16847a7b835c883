import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import {
  idempotency,
  idempotencyOf,
  problem,
  type Idempotency,
  type IdempotencyEvent,
  type IdempotencyOptions,
  type ProblemCode,
  type StoreOperation,
} from '../../src/idempotency/index.ts'
import { idempotency as onNode } from '../../src/idempotency/frameworks/node.ts'
import { faultyStore, type Faults } from './faulty-store.ts'
import { barrier, until } from './service.ts'
import { storeKinds, type DisposableStore } from './stores-under-test.ts'

const SECRETS = [
  'secret-token',
  'secret-cookie',
  'secret-body',
  'secret-query',
  'secret-answer',
  'secret-scope',
]

interface Setup extends AsyncDisposable {
  readonly subject: DisposableStore
  readonly events: IdempotencyEvent[]
  readonly codes: unknown[]
  readonly send: (request?: Asked) => Promise<Response | undefined>
  handle: (idempotency: Idempotency, request: Request) => Response | Promise<Response>
}

interface Asked {
  readonly method?: string
  readonly key?: string | null
  readonly body?: string
  readonly headers?: Record<string, string>
}

async function setup(faults: Faults = {}, options: Partial<IdempotencyOptions> = {}): Promise<Setup> {
  const [, sqlite] = storeKinds
  if (sqlite === undefined) throw new Error('there are two kinds of stores')
  const subject = await sqlite.make()
  const events: IdempotencyEvent[] = []
  const codes: unknown[] = []
  const state: Pick<Setup, 'handle'> = { handle: () => new Response('secret-answer', { status: 201 }) }
  const protect = idempotency({
    store: faultyStore(subject.store, faults),
    clock: subject.clock,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const handler = protect((request) => state.handle(idempotencyOf(request), request))
  const send = async ({ method = 'POST', key = 'k', body = 'secret-body', headers }: Asked = {}) => {
    const all = { cookie: 'secret-cookie', ...(key === null ? {} : { 'idempotency-key': key }), ...headers }
    const hasBody = method !== 'GET'
    const init = { method, headers: all, ...(hasBody ? { body } : {}) }
    const response = await handler(new Request('https://a.test/orders?q=secret-query', init)).catch(
      () => undefined,
    )
    if (response?.headers.get('content-type') === 'application/problem+json') {
      codes.push(Reflect.get(Object(await response.clone().json()), 'code'))
    }
    return response
  }
  return Object.assign(state, {
    subject,
    events,
    codes,
    send,
    [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
  })
}

const FAIL = Array.from({ length: 100 }, () => 'before' as const)

/** How to bring each event about. The compiler sees to it that none is forgotten. */
const provoke: Readonly<Record<IdempotencyEvent['type'], () => Promise<Setup>>> = {
  async acquired() {
    const service = await setup()
    await service.send()
    return service
  },
  completed: () => provoke.acquired(),
  async released() {
    const service = await setup()
    service.handle = () => new Response(null, { status: 503 })
    await service.send()
    return service
  },
  async replayed() {
    const service = await provoke.acquired()
    await service.send()
    return service
  },
  async rejected() {
    const service = await provoke.acquired()
    await service.send({ body: 'another secret-body' })
    return service
  },
  async waited() {
    const service = await setup({}, { inFlight: 'wait', maxWaitersPerKey: 1 })
    const gate = barrier()
    let count = 0
    service.handle = async () => {
      count++
      await gate.opened
      return new Response(null, { status: count === 1 ? 503 : 201 })
    }
    const waiters = (): number => service.subject.clock.pendingDelaysMs.filter((ms) => ms === 30_000).length
    const first = service.send()
    await until(() => count === 1)
    const second = service.send()
    await until(() => waiters() === 1)
    await service.send()
    gate.open()
    await Promise.all([first, second])
    return service
  },
  async ignored() {
    const service = await setup()
    await service.send({ method: 'GET' })
    return service
  },
  async 'lease-lost'() {
    const service = await setup({ heartbeat: FAIL }, { abandoned: 'takeover' })
    const gate = barrier()
    let count = 0
    service.handle = async () => {
      if (++count === 1) await gate.opened
      return new Response(null, { status: 201 })
    }
    const first = service.send()
    await until(() => count === 1)
    await service.subject.clock.advance(30_001)
    await service.send()
    gate.open()
    await first
    return service
  },
  stale: () => provoke['lease-lost'](),
  async unsaved() {
    const service = await setup({ complete: FAIL })
    const first = service.send()
    await until(() => service.events.some(({ type }) => type === 'store-error'))
    await service.subject.clock.advance(2000)
    await first
    return service
  },
  'store-error': () => provoke.unsaved(),
  async 'late-error'() {
    const service = await setup()
    service.handle = async (context) => {
      await context.transaction(() => new Response('secret-answer', { status: 201 }))
      throw new Error('after the commit')
    }
    expect((await service.send())?.status).toBe(201)
    return service
  },
  async 'scope-defaulted'() {
    const service = await setup()
    for (const key of ['1', '2'])
      await service.send({ key, headers: { authorization: 'Bearer secret-token' } })
    return service
  },
}

describe('an event', () => {
  test.each(Object.keys(provoke))('%s is emitted, and tells no secret', async (type) => {
    const entry = Object.entries(provoke).find(([name]) => name === type)
    await using service = await (entry?.[1] ?? provoke.acquired)()
    const { events } = service
    expect(events.map((event) => event.type)).toContain(type)
    const told = JSON.stringify(events)
    for (const secret of SECRETS) expect(told).not.toContain(secret)
  })

  test('scope-defaulted comes once, and only for Bearer tokens without a scope', async () => {
    await using bearer = await provoke['scope-defaulted']()
    expect(bearer.events.filter(({ type }) => type === 'scope-defaulted').length).toBe(1)
    await using basic = await setup()
    await basic.send({ headers: { authorization: 'Basic secret-token' } })
    expect(basic.events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
    await using scoped = await setup({}, { scope: () => 'secret-scope' })
    await scoped.send({ headers: { authorization: 'Bearer secret-token' } })
    expect(scoped.events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
  })

  test('waited tells how each wait ended', async () => {
    await using service = await provoke.waited()
    const endings = service.events.flatMap((event) => (event.type === 'waited' ? [event.ending] : []))
    expect(endings).toEqual(['crowded', 'acquired'])
    await using late = await setup({}, { inFlight: 'wait' })
    const gate = barrier()
    late.handle = async () => {
      await gate.opened
      return new Response()
    }
    const first = late.send()
    await until(() => late.events.some(({ type }) => type === 'acquired'))
    const headers = { prefer: 'wait=2' }
    const second = late.send({ headers })
    await until(() => late.subject.clock.pendingDelaysMs.includes(2000))
    await late.subject.clock.advance(2000)
    await second
    const third = late.send({ headers })
    await until(() => late.subject.clock.pendingDelaysMs.includes(2000))
    gate.open()
    await Promise.all([first, third])
    const request = { type: 'waited', method: 'POST', path: '/orders', key: 'k' }
    expect(late.events.filter(({ type }) => type === 'waited')).toEqual([
      { ...request, durationMs: 2000, ending: 'timed-out' },
      { ...request, durationMs: 0, ending: 'answered' },
    ])
  })

  test('tells what happened', async () => {
    await using service = await provoke.replayed()
    const request = { method: 'POST', path: '/orders', key: 'k' }
    expect(service.events).toEqual([
      { type: 'acquired', ...request, fence: 1 },
      { type: 'completed', ...request, fence: 1, status: 201, durationMs: 0, replayable: true },
      { type: 'replayed', ...request, status: 201 },
    ])
  })

  const listeners: readonly (() => unknown)[] = [
    () => {
      throw new Error('listener')
    },
    () => Promise.reject(new Error('listener')),
  ]

  test.each(listeners)('changes nothing when its listener fails', async (onEvent) => {
    await using service = await setup({}, { onEvent })
    expect((await service.send())?.status).toBe(201)
    expect((await service.send())?.headers.get('idempotent-replayed')).toBe('true')
    await service.subject.clock.settle()
  })
})

/** How to bring a failure of each operation about. */
const failing: Readonly<Record<StoreOperation, () => Promise<Setup>>> = {
  async acquire() {
    const service = await setup({ acquire: FAIL })
    const sent = service.send()
    await until(() => service.events.length > 0)
    await service.subject.clock.advance(2000)
    await sent
    return service
  },
  heartbeat: () => provoke['lease-lost'](),
  complete: () => provoke.unsaved(),
  async release() {
    const service = await setup({ release: ['before'] })
    service.handle = () => new Response(null, { status: 503 })
    const sent = service.send()
    await until(() => service.events.some(({ type }) => type === 'store-error'))
    await service.subject.clock.advance(100)
    await sent
    return service
  },
  async read() {
    const service = await setup({ heartbeat: FAIL, read: FAIL }, { abandoned: 'takeover' })
    const gate = barrier()
    let count = 0
    service.handle = async () => {
      if (++count === 1) await gate.opened
      return new Response(null, { status: 201 })
    }
    const first = service.send()
    await until(() => count === 1)
    await service.subject.clock.advance(30_001)
    await service.send()
    gate.open()
    await until(() =>
      service.events.some((event) => event.type === 'store-error' && event.operation === 'read'),
    )
    await service.subject.clock.advance(2000)
    expect((await first)?.status).toBe(409)
    return service
  },
  async begin() {
    const service = await setup({ begin: ['before'] })
    service.handle = (context) => context.transaction(() => new Response())
    await service.send()
    return service
  },
  async decode() {
    const service = await provoke.acquired()
    const { store } = service.subject
    const corrupt = {
      ...faultyStore(store),
      acquire: async () => ({ type: 'done', response: Uint8Array.of(1) }) as const,
    }
    const handler = idempotency({ store: corrupt, onEvent: (event) => service.events.push(event) })
    const request = new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': 'k' } })
    expect((await handler(() => new Response())(request)).status).toBe(409)
    return service
  },
}

describe('a failure of the store', () => {
  test.each(Object.keys(failing))('in %s is told', async (operation) => {
    const entry = Object.entries(failing).find(([name]) => name === operation)
    await using service = await (entry?.[1] ?? failing.acquire)()
    expect(service.events).toContainEqual(
      expect.objectContaining({ type: 'store-error', operation, error: expect.any(Error) }),
    )
  })
})

/** How a client comes by each problem. */
const refused: Readonly<Record<ProblemCode, () => Promise<Setup>>> = {
  async 'key-missing'() {
    const service = await setup({}, { required: true })
    await service.send({ key: null })
    return service
  },
  async 'key-malformed'() {
    const service = await setup()
    await service.send({ key: 'a b' })
    return service
  },
  async 'request-in-flight'() {
    const service = await setup()
    const gate = barrier()
    let count = 0
    service.handle = async () => {
      count++
      await gate.opened
      return new Response()
    }
    const first = service.send()
    await until(() => count === 1)
    await service.send()
    gate.open()
    await first
    return service
  },
  async 'outcome-unknown'() {
    const service = await provoke.unsaved()
    await service.subject.clock.advance(30_000)
    await service.send()
    return service
  },
  async 'response-not-replayable'() {
    const service = await setup({}, { maxResponseBytes: 1 })
    await service.send()
    await service.send()
    return service
  },
  async 'body-too-large'() {
    const service = await setup({}, { maxBodyBytes: 1 })
    await service.send()
    return service
  },
  'key-reused': () => provoke.rejected(),
  async 'too-many-keys'() {
    const service = await setup({}, { maxKeysPerScope: 1 })
    await service.send({ key: '1' })
    await service.send({ key: '2' })
    return service
  },
  'store-unavailable': () => failing.acquire(),
  async 'body-unavailable'() {
    const service = await setup()
    const handler = idempotency({
      store: service.subject.store,
      onEvent: (event) => service.events.push(event),
    })(() => new Response())
    const request = new Request('https://a.test/', {
      method: 'POST',
      body: 'x',
      headers: { 'idempotency-key': 'k' },
    })
    await request.text()
    service.codes.push(Reflect.get(Object(await (await handler(request)).json()), 'code'))
    return service
  },
  async 'identification-failed'() {
    const service = await setup()
    const fail = (): never => {
      throw new Error('no scope')
    }
    const { store } = service.subject
    const onEvent = (event: IdempotencyEvent): void => void service.events.push(event)
    const listener = onNode({ store, onEvent, scope: fail })(() => {})
    const server = createServer((request, response) => void listener(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${Reflect.get(Object(server.address()), 'port')}`
    const response = await fetch(url, { method: 'POST', headers: { 'idempotency-key': 'k' } })
    service.codes.push(Reflect.get(Object(await response.json()), 'code'))
    server.closeAllConnections()
    server.close()
    return service
  },
  async 'handler-failed'() {
    const service = await setup()
    service.handle = (context) => {
      context.began()
      throw new Error('secret-answer')
    }
    await service.send()
    await service.send()
    return service
  },
}

describe('a problem', () => {
  test.each(Object.keys(refused))('%s reaches the client', async (code) => {
    const entry = Object.entries(refused).find(([name]) => name === code)
    await using service = await (entry?.[1] ?? refused['key-missing'])()
    expect(service.codes).toContain(code)
    // The one that is saved in place of a response is no refusal.
    if (code !== 'handler-failed') {
      expect(service.events).toContainEqual(expect.objectContaining({ type: 'rejected', code }))
    }
  })

  test('has a type that a client can rely on, with a published policy and without', () => {
    const typeOf = (policyUrl?: string): unknown => {
      const { body } = problem('outcome-unknown', { policyUrl })
      return Reflect.get(Object(JSON.parse(new TextDecoder().decode(body))), 'type')
    }
    expect(typeOf()).toBe('urn:holdfast:idempotency:outcome-unknown')
    expect(typeOf('/docs/keys')).toBe('/docs/keys#outcome-unknown')
  })
})
