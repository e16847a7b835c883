import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Point } from '../plan/points.ts'
import { pause } from '../proxy/connection.ts'
import type { Target } from '../proxy/link.ts'
import type { ArmMessage, ServerConfig, ServerMessage } from '../server/messages.ts'

/** Beside this module in the bundle. */
const ENTRY = fileURLToPath(new URL(`./serve${extname(import.meta.url)}`, import.meta.url))

/** A server that can be killed, frozen, and told where to do that to itself. */
export class ServerProcess implements Target {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** @throws when it can't serve, with the reason */
  static async start(config: ServerConfig): Promise<ServerProcess> {
    const child = fork(ENTRY, [JSON.stringify(config)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const message = await firstMessage(child)
    if (message.type === 'ready') return new ServerProcess(child, message.port)
    child.kill('SIGKILL')
    throw new Error(`a server did not start: ${message.type === 'failed' ? message.reason : message.type}`)
  }

  get gone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  arm(message: ArmMessage): void {
    if (!this.gone) this.#child.send(message, () => {})
  }

  /** Resolves when it has got to the point it was armed for, or is dead; `false` when time is up before. */
  async reaches(point: Point, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (reached: boolean): void => {
        clearTimeout(timer)
        this.#child.off('message', hear).off('exit', die)
        resolve(reached)
      }
      const hear = (message: ServerMessage): void => {
        if (message.type === 'reached' && message.point === point) end(true)
      }
      const die = (): void => end(true)
      const timer = setTimeout(() => end(false), withinMs)
      this.#child.on('message', hear).once('exit', die)
    })
  }

  /** Stands still for `ms`. */
  async freeze(ms: number): Promise<void> {
    this.#child.kill('SIGSTOP')
    await pause(ms)
    this.#child.kill('SIGCONT')
  }

  /** However late it freezes itself, it does not stay so. */
  thawAfter(ms: number): void {
    this.#child.on('message', ({ type }: ServerMessage) => {
      if (type === 'reached') setTimeout(() => this.#child.kill('SIGCONT'), ms)
    })
  }

  /** Calls back if it ends by itself, which no server should. */
  onCrash(tell: (code: number) => void): void {
    this.#child.once('exit', (code) => {
      if (code !== null) tell(code)
    })
  }

  async kill(): Promise<void> {
    if (this.gone) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

async function firstMessage(child: ChildProcess): Promise<ServerMessage> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: ServerMessage) => resolve(message))
    child.once('exit', (code) => reject(new Error(`a server ended before it was ready (exit code ${code})`)))
    child.once('error', reject)
  })
}
