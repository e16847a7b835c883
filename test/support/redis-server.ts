/** A Redis for tests: the one that runs on this machine, else one of the tests' own, from an installed binary. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startOwn, type OwnProcess } from './servers.ts'
import { parent } from './temporary-folder.ts'

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

/** Which `redis-server` tests start as their own. */
export async function redisProgram(): Promise<string> {
  const name = 'redis-server'
  await promisify(execFile)(name, ['--version']).catch((cause: unknown) => {
    throw new Error(MISSING, { cause })
  })
  return name
}

async function find(): Promise<string> {
  const given = process.env['REDIS_URL']
  if (given !== undefined) return given
  if (await answers(6379)) return 'redis://127.0.0.1:6379'
  return (await OwnRedis.start()).url
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}

/** Lets a Redis do something, without a client. Resolves to what it said. */
export async function ask(port: number, command: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' }).setEncoding('utf8')
  socket.end(`${command}\r\nQUIT\r\n`)
  let said = ''
  for await (const chunk of socket) said += String(chunk)
  if (said.startsWith('-')) throw new Error(`${command}: ${said}`)
  return said
}

async function until(condition: () => Promise<boolean>, most = 400): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > most) throw new Error('the condition did not come true')
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

interface Place {
  readonly port: number
  readonly folder: string
}

const newPlace = async (): Promise<Place> => ({
  port: await freePort(),
  folder: await mkdtemp(join(parent, 'holdfast-redis-')),
})

const KEEPS_NOTHING = ['--appendonly', 'no']
/** Whatever it has answered for survives its end. */
const KEEPS_ALL = ['--appendonly', 'yes', '--appendfsync', 'always']

/** A Redis that ends with this process, and can be killed and started again where it was. */
export class OwnRedis implements AsyncDisposable {
  readonly port: number
  readonly #command: readonly string[]
  readonly #folder: string
  #process: Promise<OwnProcess>

  private constructor({ port, folder }: Place, options: readonly string[]) {
    this.port = port
    this.#folder = folder
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
    this.#command = ['redis-server', ...place, '--save', '', ...options]
    this.#process = this.#launch()
  }

  static async start(options: readonly string[] = KEEPS_NOTHING, place?: Place): Promise<OwnRedis> {
    const own = new OwnRedis(place ?? (await newPlace()), options)
    await own.#process
    return own
  }

  static startDurable(options: readonly string[] = [], place?: Place): Promise<OwnRedis> {
    return OwnRedis.start([...KEEPS_ALL, ...options], place)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { signal: send } = await this.#process
    send(signal)
    if (signal === 'SIGKILL') await until(async () => !(await answers(this.port)))
  }

  /** After it was killed. */
  async startAgain(): Promise<void> {
    this.#process = this.#launch()
    await this.#process
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { end } = await this.#process
    end()
  }

  #launch(): Promise<OwnProcess> {
    return startOwn({
      command: this.#command,
      folder: this.#folder,
      signal: 'TERM',
      answers: () => answers(this.port),
    })
  }
}

/** Starts a Redis with a Sentinel that watches it. Resolves to the port of the Sentinel. */
export async function startSentinel(name: string): Promise<number> {
  const watched = await OwnRedis.start()
  const folder = await mkdtemp(join(parent, 'holdfast-sentinel-'))
  const port = await freePort()
  // Sentinel writes into its configuration what it finds out.
  const path = join(folder, 'sentinel.conf')
  await writeFile(
    path,
    `port ${port}\nbind 127.0.0.1\nsentinel monitor ${name} 127.0.0.1 ${watched.port} 1\n`,
  )
  await startOwn({
    command: ['redis-server', path, '--sentinel'],
    folder,
    signal: 'TERM',
    answers: () => answers(port),
  })
  return port
}

/** Four seconds: it mostly takes less than one. */
const CLUSTER_TRIES = 160

/** Which slots each of three nodes has. */
const SLOTS = ['0-5460', '5461-10922', '10923-16383']

/** Starts a cluster of three nodes, each with a third of the slots: where one is down, the others go on. */
export async function startCluster(): Promise<readonly OwnRedis[]> {
  try {
    return await startNodes()
  } catch {
    // Somebody else may have taken a port that was free: once more, with others.
    return startNodes()
  }
}

async function startNodes(): Promise<readonly OwnRedis[]> {
  const nodes = await Promise.all(
    SLOTS.map(async (slots) => ({
      place: await newPlace(),
      bus: await freePort(),
      slots,
      id: randomBytes(20).toString('hex'),
    })),
  )
  // They know each other from the start: to let them meet takes seconds.
  const lineOf = (node: (typeof nodes)[number], self: string): string =>
    `${node.id} 127.0.0.1:${node.place.port}@${node.bus} ${self}master - 0 0 ${nodes.indexOf(node) + 1} connected ${node.slots}`
  const started = nodes.map(async (node) => {
    const lines = nodes.map((each) => lineOf(each, each === node ? 'myself,' : ''))
    await writeFile(
      join(node.place.folder, 'nodes.conf'),
      [...lines, 'vars currentEpoch 3 lastVoteEpoch 0', ''].join('\n'),
    )
    const options = ['--cluster-enabled', 'yes', '--cluster-port', String(node.bus)]
    return OwnRedis.startDurable([...options, '--cluster-require-full-coverage', 'no'], node.place)
  })
  const running = await Promise.all(started)
  // One that has just begun to listen may still reset a connection.
  const isReady = ({ port }: OwnRedis): Promise<boolean> =>
    ask(port, 'CLUSTER INFO').then(
      (said) => said.includes('cluster_state:ok'),
      () => false,
    )
  await until(async () => (await Promise.all(running.map(isReady))).every(Boolean), CLUSTER_TRIES)
  return running
}
