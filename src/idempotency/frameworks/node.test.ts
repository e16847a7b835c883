import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { memoryStore } from '../../stores/memory.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import type { IdempotencyEvent } from '../events.ts'
import type { IdempotencyOptions } from '../options.ts'
import { idempotency, idempotencyOf, type NodeListener } from './node.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

interface Started {
  readonly port: number
  readonly events: IdempotencyEvent[]
  /** What the listener threw. */
  readonly errors: unknown[]
  readonly server: Server
}

type Middleware = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

async function start(
  listener: NodeListener,
  options: Partial<IdempotencyOptions<IncomingMessage>> = {},
  before: Middleware = () => {},
): Promise<Started> {
  const events: IdempotencyEvent[] = []
  const errors: unknown[] = []
  const protect = idempotency({ store: memoryStore(), onEvent: (event) => events.push(event), ...options })
  const protectedListener = protect(listener)
  const server = createServer((request, response) => {
    const run = async (): Promise<void> => {
      await before(request, response)
      await protectedListener(request, response)
    }
    run().catch((error: unknown) => errors.push(error))
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, events, errors, server }
}

interface Answer {
  readonly status: number
  readonly message: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Question {
  readonly method?: string
  readonly path?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
}

function send(port: number, { method = 'POST', path = '/', headers, body }: Question = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: { 'idempotency-key': 'k', ...headers } },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode = 0, statusMessage = '', headers } = response
          resolve({ status: statusCode, message: statusMessage, headers, body: Buffer.concat(chunks) })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends bytes as they are, and resolves to all that comes back until the connection is closed. */
async function sendRaw(port: number, lines: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(lines.join('\r\n'))
  return text(socket)
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 100_000) throw new Error('the condition did not come true')
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

/** Lets the event loop turn, so that what has arrived is noticed. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

describe('the request', () => {
  const readers: Readonly<Record<string, (request: IncomingMessage) => Promise<Buffer>>> = {
    'for await': async (request) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks)
    },
    'data and end': (request) =>
      new Promise((resolve) => {
        const chunks: Buffer[] = []
        request
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('end', () => resolve(Buffer.concat(chunks)))
      }),
    'data and end, attached later': async (request) => {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      return (await readers['data and end']?.(request)) ?? Buffer.of()
    },
    readable: (request) =>
      new Promise((resolve) => {
        const chunks: Buffer[] = []
        request.on('readable', () => {
          for (let chunk: unknown; (chunk = request.read()) !== null;)
            chunks.push(Buffer.from(chunk as Buffer))
        })
        request.on('end', () => resolve(Buffer.concat(chunks)))
      }),
    pipe: async (request) => {
      const through = new PassThrough()
      request.pipe(through)
      return Buffer.from(await text(through), 'utf8')
    },
    'web stream': async (request) => {
      const response = new Response(Readable.toWeb(request) as ReadableStream)
      return Buffer.from(await response.arrayBuffer())
    },
  }
  const bodies: Readonly<Record<string, Question>> = {
    'no body': {},
    'an empty body': { headers: { 'content-length': 0 } },
    'an empty chunked body': { headers: { 'transfer-encoding': 'chunked' } },
    'a short body': { body: 'short' },
    'a chunked body': { body: 'chunked', headers: { 'transfer-encoding': 'chunked' } },
    'a body over the high-water mark': { body: Buffer.alloc(300_000, 'a') },
    'a body of the largest size': { body: Buffer.alloc(1_048_576, 'b') },
    'a large chunked body': { body: Buffer.alloc(400_000, 'c'), headers: { 'transfer-encoding': 'chunked' } },
  }

  describe.each(Object.keys(readers))('read with %s', (how) => {
    test.each(Object.keys(bodies))('has %s, as it was sent', async (what) => {
      const question = bodies[what] ?? {}
      const { port } = await start(async (request, response) => {
        const body = await readers[how]?.(request)
        response.end(body)
      })
      const first = await send(port, question)
      expect(first.status).toBe(200)
      expect(first.body.equals(Buffer.from(question.body ?? ''))).toBe(true)
      const again = await send(port, question)
      expect(again.headers['idempotent-replayed']).toBe('true')
      expect(again.body.equals(first.body)).toBe(true)
    })
  })

  test('is the very same object, with an untouched push', async () => {
    let inside: IncomingMessage | undefined
    let outside: IncomingMessage | undefined
    const { port } = await start(
      (request, response) => {
        inside = request
        response.end()
      },
      {},
      (request) => {
        outside = request
      },
    )
    await send(port, { body: 'x' })
    expect(inside).toBe(outside)
    expect(Object.hasOwn(inside ?? {}, 'push')).toBe(false)
  })

  test('is read although an asynchronous middleware let its first packets arrive', async () => {
    const bodies: string[] = []
    const { port } = await start(
      async (request, response) => {
        bodies.push(await text(request))
        response.end()
      },
      {},
      async (request) => {
        await until(() => request.readableLength > 0 || request.complete)
        await turns(10)
      },
    )
    for (const body of ['short', 'x'.repeat(500_000)]) {
      await send(port, { body, headers: { 'idempotency-key': String(body.length) } })
    }
    expect(bodies.map(({ length }) => length)).toEqual([5, 500_000])
  })

  test.each(['buffers', 'utf8'] as const)(
    'is compared by all that an asynchronous middleware let arrive, as %s',
    async (encoding) => {
      const { port } = await start(
        async (request, response) => void response.end(await text(request)),
        {},
        async (request) => {
          if (encoding !== 'buffers') request.setEncoding(encoding)
          await until(() => request.complete)
        },
      )
      const inChunks = (...chunks: string[]): Promise<string> =>
        sendRaw(port, [
          'POST / HTTP/1.1',
          'host: a',
          'connection: close',
          'idempotency-key: k',
          'transfer-encoding: chunked',
          '',
          ...chunks.flatMap((chunk) => [String(chunk.length), chunk]),
          '0',
          '',
          '',
        ])
      expect(await inChunks('pay ', 'one', ' euro')).toMatch(/^HTTP\/1\.1 200 [^]*pay one euro/)
      expect(await inChunks('pay ', 'one', ' euro')).toMatch(/^HTTP\/1\.1 200 [^]*idempotent-replayed: true/i)
      expect(await inChunks('pay ', 'ten', ' euro')).toMatch(/^HTTP\/1\.1 422 /)
    },
  )

  describe('whose encoding was set when its body had arrived', () => {
    const decoded = (encoding: BufferEncoding) =>
      start(
        async (request, response) => void response.end(await text(request)),
        {},
        async (request) => {
          request.setEncoding(encoding)
          await until(() => request.complete)
        },
      )

    test.each(['utf8', 'latin1', 'hex', 'base64', 'base64url'] as const)(
      'to %s is compared by its bytes',
      async (encoding) => {
        const { port } = await decoded(encoding)
        for (const headers of [{}, { 'idempotency-key': 'chunked', 'transfer-encoding': 'chunked' }]) {
          const first = await send(port, { body: 'pay 1 €', headers })
          expect([first.status, first.body.toString()]).toEqual([
            200,
            Buffer.from('pay 1 €').toString(encoding),
          ])
          const again = await send(port, { body: 'pay 1 €', headers })
          expect(again.headers['idempotent-replayed']).toBe('true')
          expect((await send(port, { body: 'pay 1000 €', headers })).status).toBe(422)
        }
      },
    )

    test('is refused where the characters do not tell the bytes', async () => {
      const utf8 = await decoded('utf8')
      expect((await send(utf8.port, { body: Buffer.of(0x61, 0xff) })).status).toBe(500)
      const ascii = await decoded('ascii')
      expect((await send(ascii.port, { body: 'pay 1' })).status).toBe(500)
    })

    test.each(['content-length: 3', 'transfer-encoding: chunked'])(
      'is refused where a character had arrived in part, with %s',
      async (header) => {
        const { port, server } = await start(
          (_, response) => response.end(),
          {},
          async (request) => {
            request.setEncoding('utf8')
            await until(() => request.readableLength > 0)
          },
        )
        const socket = connect(port, '127.0.0.1')
        const isChunked = header.startsWith('transfer')
        const part = (bytes: Buffer, last = ''): Buffer =>
          isChunked
            ? Buffer.concat([Buffer.from(`${bytes.length}\r\n`), bytes, Buffer.from(`\r\n${last}`)])
            : bytes
        server.on('request', (request: IncomingMessage) => {
          const watched = until(() => Object.hasOwn(request, 'push'))
          void watched.then(() => socket.end(part(Buffer.of(0xa9), '0\r\n\r\n')))
        })
        const fields = ['host: a', 'idempotency-key: k', 'connection: close', header]
        socket.write(`POST / HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
        socket.write(part(Buffer.of(0x61, 0xc3)))
        expect(await text(socket)).toContain('body-unavailable')
      },
    )
  })

  test('with a body that was parsed already is recognized by rawBody', async () => {
    const { port } = await start(
      (_, response) => response.end('parsed'),
      {},
      async (request) => {
        Object.assign(request, { rawBody: Buffer.from(await text(request)) })
      },
    )
    expect((await send(port, { body: '{"a":1}' })).body.toString()).toBe('parsed')
    expect((await send(port, { body: '{"a":1}' })).headers['idempotent-replayed']).toBe('true')
    expect((await send(port, { body: '{"a":2}' })).status).toBe(422)
  })

  test('with a body that nobody kept is refused, and told what to do', async () => {
    let ran = false
    const { port } = await start(
      (_, response) => {
        ran = true
        response.end()
      },
      {},
      async (request) => {
        Object.assign(request, { body: JSON.parse(await text(request)) })
      },
    )
    const answer = await send(port, { body: '{"a":1}' })
    expect(answer.status).toBe(500)
    expect(answer.body.toString()).toMatch(/before whatever reads the body.*rawBody/)
    expect(ran).toBe(false)
  })

  test('whose client goes away while sending runs nothing', async () => {
    let ran = false
    const { port, events, errors, server } = await start((_, response) => {
      ran = true
      response.end()
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 100\r\n\r\nhalf')
    await once(server, 'request')
    socket.destroy()
    await turns(50)
    expect(events).toEqual([])
    expect(ran).toBe(false)
    expect(errors).toEqual([])
  })

  test('over the limit is refused while it is still being sent', async () => {
    const { port } = await start((_, response) => response.end(), { maxBodyBytes: 10 })
    const chunked = await send(port, {
      body: 'x'.repeat(100_000),
      headers: { 'transfer-encoding': 'chunked' },
    })
    expect(chunked.status).toBe(413)
    expect((await send(port, { body: 'x'.repeat(11) })).status).toBe(413)
    expect((await send(port, { body: 'x'.repeat(10) })).status).toBe(200)
  })

  test('in absolute form is the same operation', async () => {
    const { port } = await start((_, response) => response.end('ran'))
    const head = ['Host: a.test', 'Idempotency-Key: k', 'Connection: close', '', '']
    expect(await sendRaw(port, ['POST /a?b HTTP/1.1', ...head])).not.toMatch(/replayed/)
    expect(await sendRaw(port, ['POST http://a.test/a?b HTTP/1.1', ...head])).toMatch(
      /idempotent-replayed: true/i,
    )
  })

  test('with two key lines is refused, although node joins them to what looks like one', async () => {
    const { port } = await start((_, response) => response.end('ran'))
    const head = ['Host: a', 'Connection: close', '', '']
    const joined = await sendRaw(port, [
      'POST / HTTP/1.1',
      'Idempotency-Key: "a',
      'Idempotency-Key: b"',
      ...head,
    ])
    expect(joined).toMatch(/^HTTP\/1.1 400/)
  })

  test('that never came through has no context', () => {
    expect(() => idempotencyOf({})).toThrow(/did not come through idempotency\(\)/)
  })
})

describe('the response', () => {
  let folder = ''
  afterEach(async () => {
    if (folder !== '') await rm(folder, { recursive: true })
    folder = ''
  })

  const writers: Readonly<Record<string, NodeListener>> = {
    'end(text)': (_, response) => response.end('hello'),
    'end(bytes)': (_, response) => response.end(Buffer.from([0, 255, 254, 10])),
    'end(text, encoding)': (_, response) => response.end('68656c6c6f', 'hex'),
    'end(callback)': (_, response) => response.end(() => {}),
    'write and end': (_, response) => {
      response.write('a')
      response.write(Buffer.from('b'))
      response.write('Yw==', 'base64')
      response.end('d')
    },
    'write with callbacks': async (_, response) => {
      await new Promise<void>((resolve) => {
        response.write('a', 'utf8', () => resolve())
      })
      await new Promise<void>((resolve) => {
        response.write('b', () => resolve())
      })
      response.end()
    },
    'a buffer that is used again': async (_, response) => {
      const buffer = Buffer.from('first')
      await new Promise<void>((resolve) => {
        response.write(buffer, () => resolve())
      })
      buffer.write('again')
      response.end(buffer)
    },
    'writeHead with an object': (_, response) => {
      response.writeHead(201, 'Made It', { 'Content-Type': 'text/plain', 'X-Many': ['1', '2'] }).end('x')
    },
    'writeHead with a flat list': (_, response) => {
      response.writeHead(201, ['Content-Type', 'text/plain', 'X-Many', '1', 'X-Many', '2']).end('x')
    },
    'writeHead with headers and a status message of its own': (_, response) => {
      response.statusMessage = 'Mine'
      response.setHeader('x-set', 'before')
      response.writeHead(202, { 'x-set': 'after' })
      response.end()
    },
    appendHeader: (_, response) => {
      response.appendHeader('x-many', '1')
      response.appendHeader('x-many', '2')
      response.end('x')
    },
    'a status message': (_, response) => {
      response.statusCode = 418
      response.statusMessage = 'Short And Stout'
      response.end()
    },
    '204': (_, response) => response.writeHead(204).end(),
    '304': (_, response) => response.writeHead(304, { etag: '"1"' }).end(),
    'a 204 with a body, which is not sent': (_, response) => response.writeHead(204).end('never'),
    'a later end, from a callback': (_, response) => {
      setImmediate(() => response.end('later'))
    },
    pipe: (_, response) => {
      Readable.from([Buffer.from('a'), Buffer.from('b')]).pipe(response)
    },
    pipeline: (_, response) => pipeline(Readable.from([Buffer.from('a'), Buffer.from('b')]), response),
    'a content length of its own': (_, response) =>
      response.writeHead(200, { 'content-length': 5 }).end('hello'),
    trailers: (_, response) => {
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('body')
      response.addTrailers({ 'x-sum': '1' })
      response.end()
    },
  }

  test.each(Object.keys(writers))('made with %s is replayed as it was', async (how) => {
    let count = 0
    const { port, errors } = await start((request, response) => {
      count++
      return writers[how]?.(request, response)
    })
    // What the listener would send if nobody stood between.
    const bare = createServer((request, response) => void writers[how]?.(request, response))
    servers.push(bare)
    bare.listen(0, '127.0.0.1')
    await once(bare, 'listening')
    const expected = await send((bare.address() as AddressInfo).port)
    const first = await send(port)
    const again = await send(port)
    const essence = ({ status, message, body, headers }: Answer): unknown => ({
      status,
      message,
      body: body.toString('hex'),
      headers: ['content-type', 'x-many', 'x-set', 'etag'].map((name) => headers[name]),
    })
    expect(essence(first)).toEqual(essence(expected))
    expect(essence(again)).toEqual(essence(expected))
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect(count).toBe(1)
    expect(errors).toEqual([])
  })

  test('piped from a file is replayed as it was', async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-'))
    const path = join(folder, 'file')
    const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, index) => index % 256))
    await writeFile(path, content)
    const { port } = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      createReadStream(path).pipe(response)
    })
    expect((await send(port)).body.equals(content)).toBe(true)
    const again = await send(port)
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect(again.body.equals(content)).toBe(true)
  })

  test.each(['pipe', 'pipeline'])(
    'of %s is saved although the client went away in the middle',
    async (how) => {
      let go = (): void => {}
      const going = new Promise<void>((resolve) => {
        go = resolve
      })
      let started = false
      let closed = false
      const { port, events } = await start(async (request, response) => {
        request.socket.once('close', () => {
          closed = true
        })
        async function* parts(): AsyncGenerator<string> {
          yield 'first '
          started = true
          await going
          yield 'second'
        }
        const source = Readable.from(parts(), { objectMode: false })
        if (how === 'pipeline') await pipeline(source, response)
        else source.pipe(response)
      })
      const socket = connect(port, '127.0.0.1')
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
      await until(() => started)
      socket.destroy()
      await until(() => closed)
      await turns(10)
      go()
      await until(() => events.some(({ type }) => type === 'completed'))
      const again = await send(port, { headers: { 'content-length': 0 } })
      expect(again.body.toString()).toBe('first second')
      expect(again.headers['idempotent-replayed']).toBe('true')
    },
  )

  test('of a handler behind asynchronous work is saved although the client went away', async () => {
    let go = (): void => {}
    const going = new Promise<void>((resolve) => {
      go = resolve
    })
    let started = false
    let closed = false
    const { port, events } = await start(async (request, response) => {
      started = true
      request.socket.once('close', () => {
        closed = true
      })
      await going
      response.writeHead(201).end('done')
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await until(() => started)
    socket.destroy()
    await until(() => closed)
    go()
    await until(() => events.some(({ type }) => type === 'completed'))
    expect((await send(port)).body.toString()).toBe('done')
  })

  test('leaves out of its record what middleware outside had set, which sets it again', async () => {
    let requests = 0
    const { port } = await start(
      (_, response) => {
        response.setHeader('x-own', 'handler')
        response.setHeader('x-outer', 'changed by the handler')
        response.end('x')
      },
      {},
      (_, response) => {
        response.setHeader('x-serial', String(++requests))
        response.setHeader('x-outer', 'middleware')
      },
    )
    const first = await send(port)
    const again = await send(port)
    expect([first.headers['x-serial'], again.headers['x-serial']]).toEqual(['1', '2'])
    expect(again.headers['x-own']).toBe('handler')
    expect(again.headers['x-outer']).toBe('changed by the handler')
  })

  test('behaves for the handler as if it had been sent', async () => {
    const seen: unknown[] = []
    const { port } = await start((_, response) => {
      const codeOf = (work: () => unknown): unknown => {
        try {
          work()
          return 'fine'
        } catch (error) {
          return Reflect.get(Object(error), 'code')
        }
      }
      seen.push(response.headersSent, response.writableEnded)
      seen.push(codeOf(() => response.writeHead(9)))
      seen.push(codeOf(() => response.write(Object(5))))
      response.writeHead(201)
      seen.push(response.headersSent, response.writableEnded)
      for (const late of [
        () => response.writeHead(200),
        () => response.setHeader('a', 'b'),
        () => response.appendHeader('a', 'b'),
        () => response.removeHeader('a'),
      ]) {
        seen.push(codeOf(late))
      }
      response.statusCode = 500
      response.end('x')
      seen.push(response.writableEnded, response.write('after'))
      response.end('again')
    })
    expect((await send(port)).status).toBe(201)
    expect((await send(port)).body.toString()).toBe('x')
    expect(seen).toEqual([
      false,
      false,
      'ERR_HTTP_INVALID_STATUS_CODE',
      'ERR_INVALID_ARG_TYPE',
      true,
      false,
      ...Array.from({ length: 4 }, () => 'ERR_HTTP_HEADERS_SENT'),
      true,
      false,
    ])
  })

  test('calls back once it has been sent', async () => {
    let called = false
    const { port } = await start((_, response) => {
      response.end('x', () => {
        called = true
      })
    })
    await send(port)
    await until(() => called)
    expect(called).toBe(true)
  })

  test('that is compressed by middleware outside is stored as the handler wrote it', async () => {
    const { port } = await start(
      (_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('plain'),
      {},
      (_, response) => {
        // As compression middleware does it: over the response's own methods.
        const end = response.end.bind(response)
        response.end = (chunk?: unknown) => {
          response.setHeader('content-encoding', 'x-upper')
          return end(String(chunk).toUpperCase())
        }
      },
    )
    expect((await send(port)).body.toString()).toBe('PLAIN')
    const again = await send(port)
    expect(again.body.toString()).toBe('PLAIN')
    expect(again.headers['content-encoding']).toBe('x-upper')
  })

  test('that is encoded by the handler is stored with its encoding', async () => {
    const { port } = await start((_, response) => {
      const end = response.end.bind(response)
      response.end = (chunk?: unknown) => {
        response.setHeader('content-encoding', 'x-upper')
        return end(String(chunk).toUpperCase())
      }
      response.end('plain')
    })
    expect((await send(port)).body.toString()).toBe('PLAIN')
    const again = await send(port)
    expect(again.body.toString()).toBe('PLAIN')
    expect(again.headers['content-encoding']).toBe('x-upper')
  })
})

describe('a stream', () => {
  test('is sent as it comes once its headers are flushed, and recorded before', async () => {
    const store = memoryStore()
    let response: ServerResponse | undefined
    const { port, events } = await start(
      (_, given) => {
        response = given
        given.writeHead(200, { 'content-type': 'application/x-ndjson' })
        given.flushHeaders()
      },
      { store },
    )
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString()))
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await until(() => received.includes('application/x-ndjson'))
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
    response?.write('{"n":1}\n')
    await until(() => received.includes('{"n":1}'))
    response?.end('{"n":2}\n')
    await until(() => received.includes('{"n":2}'))
    const again = await send(port, { headers: { 'content-length': 0 } })
    expect(again.status).toBe(409)
    expect(again.body.toString()).toMatch(/response-not-replayable/)
    socket.destroy()
  })

  test('larger than the limit waits for its record, then flows with back pressure', async () => {
    const total = 3_000_000
    const { port, errors } = await start(async (_, response) => {
      const source = Readable.from(
        (function* () {
          for (let sent = 0; sent < total; sent += 100_000) yield Buffer.alloc(100_000, 'x')
        })(),
      )
      await pipeline(source, response)
    })
    const first = await send(port)
    expect(first.body.length).toBe(total)
    expect((await send(port)).status).toBe(409)
    expect(errors).toEqual([])
  })

  test('larger than the limit in a single end is sent whole', async () => {
    const { port } = await start((_, response) => response.end(Buffer.alloc(2_000_000, 'x')))
    const first = await send(port)
    expect(first.body.length).toBe(2_000_000)
    expect(first.headers['content-length']).toBe('2000000')
  })

  test('that answers 503 gives the key back', async () => {
    let count = 0
    const { port } = await start((_, response) => {
      count++
      response.writeHead(503)
      response.flushHeaders()
      response.end('busy')
    })
    expect((await send(port)).body.toString()).toBe('busy')
    expect((await send(port)).body.toString()).toBe('busy')
    expect(count).toBe(2)
  })
})

describe('a listener', () => {
  test.each(['scope', 'fingerprint'] as const)(
    'is not called where %s throws: a 500, and an event',
    async (option) => {
      const warned = once(process, 'warning')
      const error = new Error('no')
      const fail = (): never => {
        throw error
      }
      let ran = false
      const { port, events, errors } = await start(() => (ran = true), { [option]: fail })
      const answer = await send(port)
      expect([answer.status, Reflect.get(Object(JSON.parse(String(answer.body))), 'code')]).toEqual([
        500,
        'identification-failed',
      ])
      const request = { method: 'POST', path: '/', key: 'k' }
      expect(events).toEqual([
        { type: 'rejected', ...request, code: 'identification-failed', status: 500, error },
      ])
      expect([ran, errors]).toEqual([false, []])
      expect(String(await warned)).toMatch(/answered 500: Error: no/)
    },
  )

  test('that throws rejects as it would, after the key is given back', async () => {
    const failure = new Error('broken')
    let count = 0
    const { port, errors, events } = await start((_, response) => {
      if (++count === 1) {
        setImmediate(() => response.destroy())
        throw failure
      }
      response.end('fine')
    })
    await expect(send(port)).rejects.toThrow(/socket hang up/)
    expect(errors).toEqual([failure])
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'released'])
    expect((await send(port)).body.toString()).toBe('fine')
  })

  test('that throws after it has responded has its response sent and saved, and rejects', async () => {
    const failure = new Error('broken')
    const { port, errors } = await start((_, response) => {
      response.end('fine')
      throw failure
    })
    expect((await send(port)).body.toString()).toBe('fine')
    expect((await send(port)).headers['idempotent-replayed']).toBe('true')
    expect(errors).toEqual([failure])
  })

  test('whose client is gone and that never responds leaves its key to the policy', async () => {
    const clock = virtualClock()
    let started = false
    let closed = false
    const { port } = await start(
      (_, response) => {
        started = true
        response.once('close', () => {
          closed = response.closed && response.destroyed
        })
      },
      { clock, store: memoryStore({ clock }) },
    )
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await until(() => started)
    socket.destroy()
    await turns(50)
    for (let turn = 0; turn < 29; turn++) await clock.advance(10_000)
    // Until then it may be a slow one that still runs.
    expect((await send(port)).body.toString()).toMatch(/request-in-flight/)
    expect(closed).toBe(false)
    for (let turn = 0; turn < 4; turn++) await clock.advance(10_000)
    expect(closed).toBe(true)
    expect(clock.pending).toBe(0)
    await clock.advance(1)
    expect((await send(port)).body.toString()).toMatch(/outcome-unknown/)
  })

  test.each<[string, (response: ServerResponse) => void, string]>([
    [
      'a status that is none',
      (response) => void (response.statusCode = undefined as never),
      'ERR_HTTP_INVALID_STATUS_CODE',
    ],
    [
      'a status message of other characters',
      (response) => void (response.statusMessage = 'naïve ☃'),
      'ERR_INVALID_CHAR',
    ],
  ])('that sets %s hears of it at once, and its key is given back', async (_, spoil, code) => {
    let runs = 0
    const { port, errors } = await start((_request, response) => {
      if (runs++ > 0) {
        response.end('fine')
        return
      }
      spoil(response)
      try {
        response.end('spoilt')
      } catch (error) {
        errors.push(Reflect.get(Object(error), 'code'))
        response.statusMessage = ''
        response.writeHead(503).end('caught')
      }
    })
    expect((await send(port)).body.toString()).toBe('caught')
    expect(errors).toEqual([code])
    expect((await send(port)).body.toString()).toBe('fine')
  })

  /** A client that leaves while the store is asked: its listener is called afterwards. */
  async function leftBefore(listener: Parameters<typeof start>[0], body = '') {
    let gone = false
    const store = memoryStore()
    const acquire = store.acquire.bind(store)
    store.acquire = async (request) => {
      socket.destroy()
      await until(() => gone)
      await turns(5)
      return acquire(request)
    }
    const { port, events, errors } = await start(
      listener,
      { store },
      (request) => void request.socket.once('close', () => (gone = true)),
    )
    const socket = connect(port, '127.0.0.1')
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n'
    socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
    await until(() => events.some(({ type }) => type === 'completed') || errors.length > 0)
    return { events, errors }
  }

  test('whose client left before it was called runs all the same, and is saved', async () => {
    const { events } = await leftBefore((_, response) => pipeline(Readable.from(['do', 'ne']), response))
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
  })

  test.each(['', 'an order'])(
    'can read the body %j although its client left before it was called',
    async (body) => {
      const bodies: string[] = []
      const { errors } = await leftBefore(async (request, response) => {
        bodies.push(await text(request))
        response.end()
      }, body)
      expect(errors).toEqual([])
      expect(bodies).toEqual([body])
    },
  )

  test('that throws after its client left learns of that, too', async () => {
    let closed = false
    let started = false
    let go = (): void => {}
    const going = new Promise<void>((resolve) => {
      go = resolve
    })
    const { port, errors } = await start(async (_, response) => {
      response.once('close', () => {
        closed = true
      })
      started = true
      await going
      throw new Error('broken')
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await until(() => started)
    socket.destroy()
    await turns(50)
    expect(closed).toBe(false)
    go()
    await until(() => errors.length > 0)
    expect(closed).toBe(true)
  })

  test('that cuts its response off leaves its key to the policy at once', async () => {
    const clock = virtualClock()
    const { port } = await start((_, response) => response.destroy(), {
      clock,
      store: memoryStore({ clock }),
    })
    await expect(send(port)).rejects.toThrow(/socket hang up/)
    await clock.advance(30_000)
    expect(clock.pending).toBe(0)
    expect((await send(port)).body.toString()).toMatch(/outcome-unknown/)
  })

  test('of an unprotected request is called at once, in the same turn', async () => {
    let sameTurn = false
    const protectedListener = idempotency({ store: memoryStore() })((_, response) => {
      sameTurn = true
      response.end()
    })
    const server = createServer((request, response) => {
      void protectedListener(request, response)
      expect(sameTurn).toBe(true)
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await send((server.address() as AddressInfo).port, { method: 'GET' })
    expect(sameTurn).toBe(true)
  })
})
