/** Whatever a listener does with its response, by chance: it and its client see what they see without the layer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import express from 'express'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { idempotency as forExpress } from '../../src/idempotency/frameworks/express.ts'
import { idempotency } from '../../src/idempotency/frameworks/node.ts'
import type { IdempotencyOptions } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { ask, OF_THE_EXCHANGE, serving, type Answer } from './support.ts'

type Op =
  | readonly ['status', number]
  | readonly ['reason', string]
  | readonly ['set', string, string | string[]]
  | readonly ['append', string, string]
  | readonly ['remove', string]
  | readonly ['writeHead', number, string | undefined, Record<string, string> | string[] | undefined]
  | readonly ['flushHeaders']
  | readonly ['write', string, boolean, boolean]
  | readonly ['end', string | undefined, boolean]
  | readonly ['corked', string]
  | readonly ['turn']

const name = fc.constantFrom('x-one', 'X-Two', 'content-type', 'Set-Cookie', 'vary', 'etag')
const text = fc.constantFrom('a', 'bc', 'ü', '', 'long '.repeat(40))
const value = fc.constantFrom('1', 'text/plain', 'a=b', 'text/plain; charset=utf-8')
const status = fc.constantFrom(200, 201, 202, 204, 304, 404, 409, 500, 503)

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.tuple(fc.constant('status' as const), status),
  fc.tuple(fc.constant('reason' as const), fc.constantFrom('Fine', 'Not so fine', '')),
  fc.tuple(
    fc.constant('set' as const),
    name,
    fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 2 })),
  ),
  fc.tuple(fc.constant('append' as const), name, value),
  fc.tuple(fc.constant('remove' as const), name),
  fc.tuple(
    fc.constant('writeHead' as const),
    status,
    fc.option(fc.constant('So it is'), { nil: undefined }),
    fc.option(
      fc.oneof(
        fc.dictionary(name, value, { maxKeys: 3 }),
        fc
          .uniqueArray(fc.tuple(name, value), { maxLength: 3, selector: ([of]) => of })
          .map((pairs) => pairs.flat()),
      ),
      { nil: undefined },
    ),
  ),
  fc.constant(['flushHeaders'] as const),
  fc.tuple(fc.constant('write' as const), text, fc.boolean(), fc.boolean()),
  fc.tuple(fc.constant('write' as const), text, fc.boolean(), fc.boolean()),
  fc.tuple(fc.constant('end' as const), fc.option(text, { nil: undefined }), fc.boolean()),
  fc.tuple(fc.constant('corked' as const), text),
  fc.constant(['turn'] as const),
)

/** What was seen of it, step by step. */
type Seen = unknown[]

function perform(response: ServerResponse, [what, ...args]: Op, called: string[]): unknown {
  const callback = (which: string) => (error?: Error | null) =>
    void called.push(`${which} ${(error as { code?: string } | undefined)?.code ?? ''}`)
  // With an error where all has left by then: Node's lines differ in when that is.
  const ended = (): void => void called.push('end')
  switch (what) {
    case 'status':
      return (response.statusCode = args[0] as number)
    case 'reason':
      return (response.statusMessage = args[0] as string)
    case 'set':
      // A copy: Node adds to a list that it was given.
      return response.setHeader(
        args[0] as string,
        typeof args[1] === 'string' ? args[1] : [...(args[1] as string[])],
      )
    case 'append':
      return response.appendHeader(args[0] as string, args[1] as string)
    case 'remove':
      return response.removeHeader(args[0] as string)
    case 'writeHead': {
      const [code, reason, headers] = args as [number, string | undefined, Record<string, string> | undefined]
      return reason === undefined
        ? response.writeHead(code, headers)
        : response.writeHead(code, reason, headers)
    }
    case 'flushHeaders':
      return response.flushHeaders()
    case 'write': {
      const [chunk, asBytes, withCallback] = args as [string, boolean, boolean]
      const data = asBytes ? Buffer.from(chunk) : chunk
      return withCallback ? response.write(data, callback('write')) : response.write(data)
    }
    case 'end': {
      const [chunk, withCallback] = args as [string | undefined, boolean]
      return withCallback ? response.end(chunk, ended) : response.end(chunk)
    }
    // In pairs: Node 22 loses what is written after one `uncork` too many.
    case 'corked':
      response.cork()
      try {
        return response.write(args[0])
      } finally {
        response.uncork()
      }
    default:
      return undefined
  }
}

async function play(
  request: IncomingMessage,
  response: ServerResponse,
  ops: readonly Op[],
  seen: Seen,
): Promise<void> {
  const called: string[] = []
  response.on('error', (error: Error & { code?: string }) => void called.push(`error ${error.code}`))
  response.on('finish', () => void called.push('finish'))
  for await (const _ of request);
  for (const one of [...ops, ['end', undefined, true]] as readonly Op[]) {
    if (one[0] === 'turn') await setImmediate()
    let result: unknown
    try {
      result = perform(response, one, called)
      if (typeof result === 'boolean') {
        // As a stream that is piped into it does; while a response is kept back there is more often something to wait for.
        if (!result && !response.writableEnded) await once(response, 'drain')
        result = 'a boolean'
      }
      if (result === response) result = 'itself'
    } catch (error) {
      result = `${(error as { code?: string }).code}`
    }
    const { headersSent, writableEnded, statusCode } = response
    seen.push([one, result, { headersSent, writableEnded }])
    // Node forgets what `writeHead` alone was given, and keeps what is set too late.
    if (!headersSent) seen.push([statusCode, response.getHeaders()])
  }
  await new Promise<void>((resolve) => void (response.closed ? resolve() : response.once('close', resolve)))
  // Each is called back, and told the same; in which order is another matter.
  seen.push(called.toSorted())
}

/** What its client sees. */
async function answerOf(
  port: number,
): Promise<Pick<Answer, 'status' | 'message' | 'headers' | 'text' | 'replayed'>> {
  const { status, message, headers, text, replayed } = await ask(port, { headers: { connection: 'close' } })
  // How the bytes are sent is another matter: as a whole they have a length.
  const own = Object.entries(headers).filter(([of]) => !OF_THE_EXCHANGE.has(of))
  return { status, message, headers: Object.fromEntries(own), text, replayed }
}

/** Not replayed: cookies, and that it is not to be cached. */
const kept = ({ headers }: Pick<Answer, 'headers'>): unknown => {
  const { 'set-cookie': _, 'cache-control': __, ...own } = headers
  return own
}

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

const inNode = (options: IdempotencyOptions<IncomingMessage>): ((listener: Listener) => Listener) =>
  idempotency(options)

/** Express makes a response of another kind of Node's. */
function inExpress(options: IdempotencyOptions<IncomingMessage>): (listener: Listener) => Listener {
  const layer = forExpress(options)
  return (listener) => express().use(layer, (request, response) => void listener(request, response))
}

const RESPONSES = Number(process.env['RESPONSES'] ?? 300)

test.each([
  ['node:http', inNode, (listener: Listener): Listener => listener],
  [
    'Express',
    inExpress,
    (listener: Listener): Listener => express().use((request, response) => void listener(request, response)),
  ],
])(
  'in %s a listener and its client see what they see without the layer, and a replay is the same',
  { timeout: 100 * RESPONSES },
  async (_, layer, plain) => {
    let ops: readonly Op[] = []
    let seen: Seen = []
    let runs = 0
    let played: Promise<void> = Promise.resolve()
    const listener = (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      runs++
      return (played = play(request, response, ops, seen))
    }
    let protectedListener: Listener = listener
    const bare = await serving((request, response) => void plain(listener)(request, response))
    const layered = await serving((request, response) => void protectedListener(request, response))
    const view = async (port: number) => {
      seen = []
      const answer = await answerOf(port)
      await played
      return { answer, seen }
    }
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 8 }), async (list) => {
        ops = list
        protectedListener = layer({ store: memoryStore(), release: () => false })(listener)
        const expected = await view(bare)
        const first = await view(layered)
        expect(first).toEqual(expected)
        runs = 0
        const again = await answerOf(layered)
        expect(runs).toBe(0)
        // What has begun to leave before it was whole is not kept.
        if (list.some(([what]) => what === 'flushHeaders') && !again.replayed)
          expect(again.text).toContain('response-not-replayable')
        else
          expect({ ...again, headers: kept(again) }).toEqual({
            ...first.answer,
            headers: kept(first.answer),
            replayed: true,
          })
      }),
      { numRuns: RESPONSES },
    )
  },
)
