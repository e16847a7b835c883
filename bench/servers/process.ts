import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { root } from '../harness/machine.ts'
import { serverSubjects } from './all.ts'
import type { ServerSubject } from './subject.ts'

/** What the process has used since it began. */
export interface Costs {
  readonly cpuUs: number
  readonly roundTrips: number
}

/** What the process of a server says. */
export type Told = { readonly port: number } | Costs

const probe = join(root, '.cache/bench/server-probe.js')

/** A server of the benchmark, in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly subject: ServerSubject
  readonly port: number
  readonly #child: ChildProcess

  private constructor(subject: ServerSubject, port: number, child: ChildProcess) {
    this.subject = subject
    this.port = port
    this.#child = child
  }

  static async start(subject: ServerSubject): Promise<ServerProcess> {
    const child = fork(probe, [String(serverSubjects.indexOf(subject))], { cwd: root })
    const told = await answerOf(child, subject)
    if (!('port' in told)) throw new Error(`${subject.name} did not say its port`)
    return new ServerProcess(subject, told.port, child)
  }

  async costs(): Promise<Costs> {
    this.#child.send('costs')
    const told = await answerOf(this.#child, this.subject)
    if ('port' in told) throw new Error(`${this.subject.name} did not say its costs`)
    return told
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.send('end')
    await ended
  }
}

async function answerOf(child: ChildProcess, { name }: ServerSubject): Promise<Told> {
  const controller = new AbortController()
  const { signal } = controller
  const died = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`the server "${name}" ended with ${code}`)
  })
  try {
    const [told] = (await Promise.race([once(child, 'message', { signal }), died])) as [Told]
    return told
  } finally {
    died.catch(() => {})
    controller.abort()
  }
}
