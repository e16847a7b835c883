/** A Redis for tests: the one that runs on this machine, else one of the tests' own, from an installed binary. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, startOwn } from './servers.ts'

const MISSING =
  'these tests need Redis: start one on 127.0.0.1:6379, name one in REDIS_URL, or install redis-server (Debian: apt-get install redis-server)'

let found: Promise<string> | undefined

/** Where Redis is. */
export function redisUrl(): Promise<string> {
  found ??= find().catch((cause: unknown) => {
    throw new Error(MISSING, { cause })
  })
  return found
}

async function find(): Promise<string> {
  const given = process.env['REDIS_URL']
  if (given !== undefined) return given
  if (await answers(6379)) return 'redis://127.0.0.1:6379'
  return `redis://127.0.0.1:${await start()}`
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}

/** Starts a Redis with a Sentinel that watches it. Resolves to the port of the Sentinel. */
export async function startSentinel(name: string): Promise<number> {
  const watched = await start()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-sentinel-'))
  const port = await freePort()
  // Sentinel writes into its configuration what it finds out.
  const path = join(folder, 'sentinel.conf')
  await writeFile(path, `port ${port}\nbind 127.0.0.1\nsentinel monitor ${name} 127.0.0.1 ${watched} 1\n`)
  await startOwn({
    command: ['redis-server', path, '--sentinel'],
    folder,
    signal: 'TERM',
    answers: () => answers(port),
  })
  return port
}

/** Starts one that ends with this process and keeps nothing. */
async function start(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'))
  const port = await freePort()
  const keepNothing = ['--save', '', '--appendonly', 'no']
  await startOwn({
    command: ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...keepNothing],
    folder,
    signal: 'TERM',
    answers: () => answers(port),
  })
  return port
}
