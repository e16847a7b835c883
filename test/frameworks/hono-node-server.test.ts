/** On the Response that @hono/node-server puts in place of the platform's, as its `serve` does unless told otherwise. */
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono, type Context, type MiddlewareHandler } from 'hono'
import { stream, streamText } from 'hono/streaming'
import { expect, onTestFinished, test, vi } from 'vitest'
import { idempotency } from '../../src/idempotency/frameworks/hono.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { ask, expectFaithful, serving } from './support.ts'

function started(app: Hono): Promise<number> {
  const listener = getRequestListener(app.fetch)
  return serving((request, response) => void listener(request, response))
}

type Handler = (context: Context) => Response | Promise<Response>

const answers: Readonly<Record<string, Handler>> = {
  'c.json': (context) => context.json({ order: 1 }, 201),
  'c.body of a stream': (context) => context.body(new Blob(['a', 'b']).stream()),
  stream: (context) => stream(context, async (out) => void (await out.write('a'))),
  'streamText that takes its time': (context) =>
    streamText(context, async (out) => {
      await out.write('a')
      await out.sleep(1)
      await out.write('b')
    }),
  'a stream that says how it is sent': () =>
    new Response(new Blob(['a']).stream(), { headers: { 'transfer-encoding': 'chunked' } }),
  'a 204': (context) => context.body(null, 204),
  'c.redirect': (context) => context.redirect('/orders/1', 303),
  'a Response': () => new Response('by hand', { status: 202, headers: { 'x-a': 'b' } }),
}

/** Puts the platform's own back after the test. */
function lendGlobals(): void {
  const { Request, Response } = globalThis
  const platforms = Object.getOwnPropertyDescriptors({ Request, Response })
  onTestFinished(() => void Object.defineProperties(globalThis, platforms))
}

test.each(Object.entries(answers))(
  '%s is sent and replayed as it is without the layer',
  async (_, handle) => {
    const { Response: platformsOwn } = globalThis
    lendGlobals()
    // Hono writes one media type differently once middleware has looked at the response.
    const looking: MiddlewareHandler = (context, next) => (void context.res, next())
    const bare = await started(new Hono().use(looking).post('/', handle))
    const kept = new Hono().use(idempotency({ store: memoryStore() })).post('/', handle)
    expect(globalThis.Response).not.toBe(platformsOwn)
    await expectFaithful({ bare, kept: await started(kept) }, {})
  },
)

test('what a handler writes to the response of node:http is sent once, and not replayable', async () => {
  lendGlobals()
  const errors = vi.spyOn(console, 'error')
  onTestFinished(() => errors.mockRestore())
  const app = new Hono<{ Bindings: HttpBindings }>().use(idempotency({ store: memoryStore() }))
  app.post('/', ({ env }) => {
    env.outgoing.writeHead(201).end('by hand')
    return RESPONSE_ALREADY_SENT
  })
  const listener = getRequestListener((request, env) => app.fetch(request, env))
  const port = await serving((request, response) => void listener(request, response))
  expect(await ask(port)).toMatchObject({ status: 201, text: 'by hand' })
  expect(await ask(port)).toMatchObject({ status: 409, text: expect.stringContaining('not-replayable') })
  expect(errors).not.toHaveBeenCalled()
})
