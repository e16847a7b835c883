import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Case } from './cases.ts'

const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url))

export interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly replayed: boolean
  /** Of a problem. */
  readonly code: string | undefined
  readonly text: string
}

export interface ServerProcess extends AsyncDisposable {
  /** What its handler responds. */
  readonly response: string
  readonly send: (order: Case, stopAt?: string) => Promise<Answer>
  /** Sends it again for as long as it is refused for one of these reasons. */
  readonly sendWhile: (order: Case, ...codes: readonly string[]) => Promise<Answer>
  /** Resolves when the first requests of all these stand still. */
  readonly reached: (cases: readonly Case[]) => Promise<void>
  readonly kill: () => Promise<void>
  readonly freeze: () => void
  /** Whatever stands still in it goes on. */
  readonly wake: () => void
}

/** Starts server.mjs. It ends with this process. */
export async function startServer(config: object): Promise<ServerProcess> {
  const child = spawn(process.execPath, [SERVER, JSON.stringify(config)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const said = new Set<string>()
  createInterface({ input: child.stdout }).on('line', (line) => said.add(line))
  await until(() => said.size > 0)
  const [port] = said
  const kill = (): Promise<void> => killed(child)
  const send: ServerProcess['send'] = async ({ store, policy, order, leaseMs }, stopAt) => {
    const stop: Record<string, string> = stopAt === undefined ? {} : { 'stop-at': stopAt }
    const url = `http://127.0.0.1:${port}/${store}/${policy}/${order}/${leaseMs}`
    return answerOf(await fetch(url, { method: 'POST', headers: { 'idempotency-key': order, ...stop } }))
  }
  return {
    response: `made by ${child.pid}`,
    send,
    async sendWhile(order, ...codes) {
      for (let tries = 0; tries < 300; tries++) {
        const answer = await send(order)
        if (answer.code === undefined || !codes.includes(answer.code)) return answer
        await pause(100)
      }
      throw new Error(`it was refused for too long (${codes.join(', ')})`)
    },
    reached: (cases) => until(() => cases.every(({ order }) => said.has(order))),
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    wake: () => void (child.kill('SIGCONT') && child.kill('SIGUSR2')),
    [Symbol.asyncDispose]: kill,
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    replayed: response.headers.get('idempotent-replayed') === 'true',
    code: text.startsWith('{') ? String(Reflect.get(JSON.parse(text) as object, 'code')) : undefined,
    text,
  }
}

/** Sleeps in between: the servers need the processor. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5000) throw new Error('the condition did not come true')
    await pause(5)
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
