import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { LinkFault } from '../plan/link-faults.ts'
import { Link, type Target } from './link.ts'

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const each of cleanUp.splice(0).toReversed()) await each()
})

interface Setting {
  readonly link: Link<Target>
  readonly target: Target
  /** What the server got. */
  readonly received: string[]
  readonly told: string[]
}

/** A server that answers each message with its length, behind a link with these faults. */
async function setting(faults: readonly (LinkFault | undefined)[] = []): Promise<Setting> {
  const received: string[] = []
  const told: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        received.push(String(bytes))
        socket.write(`got ${bytes.length}`)
      })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const target = { host: '127.0.0.1', port: (server.address() as { port: number }).port }
  const link = await Link.open({
    pick: () => target,
    faultFor: (_, message) => faults[message],
    onFault: (kind) => told.push(kind),
  })
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => void server.close(resolve))
  })
  cleanUp.push(() => link.close())
  return { link, target, received, told }
}

/** Resolves to the answer, or to `'ended'`. */
async function ask(socket: Socket, text: string): Promise<string> {
  const outcome = new Promise<string>((resolve) => {
    socket.once('data', (bytes) => resolve(String(bytes)))
    socket.once('close', () => resolve('ended'))
  })
  socket.write(text)
  return outcome
}

async function open({ link }: Setting): Promise<Socket> {
  const socket = connect(link.port, '127.0.0.1')
  socket.on('error', () => {})
  cleanUp.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('without a fault everything passes, in both directions', async () => {
  const world = await setting()
  const socket = await open(world)
  expect(await ask(socket, 'hello')).toBe('got 5')
  expect(await ask(socket, 'you')).toBe('got 3')
  expect(world.told).toEqual([])
})

test('a dropped request never arrives, and its connection ends', async () => {
  const world = await setting([undefined, { kind: 'request dropped' }])
  const socket = await open(world)
  await ask(socket, 'one')
  expect(await ask(socket, 'two')).toBe('ended')
  expect(world.received).toEqual(['one'])
  expect(world.told).toEqual(['request dropped'])
})

test('a dropped answer: the request arrives and is answered, and nobody hears of it', async () => {
  const world = await setting([{ kind: 'answer dropped' }])
  expect(await ask(await open(world), 'one')).toBe('ended')
  expect(world.received).toEqual(['one'])
})

test('silence: the request arrives, nothing comes back, the connection ends in the end', async () => {
  const world = await setting([{ kind: 'silence', ms: 30 }])
  expect(await ask(await open(world), 'one')).toBe('ended')
  expect(world.received).toEqual(['one'])
})

test('a delay delivers', async () => {
  const world = await setting([{ kind: 'delay', ms: 5 }])
  expect(await ask(await open(world), 'one')).toBe('got 3')
  expect(world.told).toEqual(['delay'])
})

test('a partition that heals delivers late what it held up', async () => {
  const world = await setting()
  const socket = await open(world)
  await ask(socket, 'one')
  const over = world.link.partition(world.target, { direction: 'up', ms: 60, heals: true })
  let isOver = false
  void over.then(() => (isOver = true))
  const answer = ask(socket, 'two')
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(world.received).toEqual(['one'])
  expect(await answer).toBe('got 3')
  expect(isOver).toBe(true)
})

test('a partition of the answers ends connections where it does not heal', async () => {
  const world = await setting()
  const socket = await open(world)
  const over = world.link.partition(world.target, { direction: 'down', ms: 20, heals: false })
  expect(await ask(socket, 'one')).toBe('ended')
  expect(world.received).toEqual(['one'])
  await over
  expect(await ask(await open(world), 'again')).toBe('got 5')
})
