import { Child } from '../harness/child.ts'
import { serverSubjects } from './all.ts'
import type { ServerSubject } from './subject.ts'

/** What the process has used since it began. */
export interface Costs {
  readonly cpuUs: number
  readonly roundTrips: number
}

/** What the process of a server says. */
export type Told = { readonly port: number } | Costs

/** A server of the benchmark, in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly subject: ServerSubject
  readonly port: number
  readonly #child: Child<Told>

  private constructor(subject: ServerSubject, port: number, child: Child<Told>) {
    this.subject = subject
    this.port = port
    this.#child = child
  }

  static async start(subject: ServerSubject): Promise<ServerProcess> {
    const place = String(serverSubjects.indexOf(subject))
    const child = new Child<Told>(`the server ${subject.name}`, 'server-probe.js', [place])
    const told = await child.told()
    if (!('port' in told)) throw new Error(`${subject.name} did not say its port`)
    return new ServerProcess(subject, told.port, child)
  }

  async costs(): Promise<Costs> {
    const told = await this.#child.ask('costs')
    if ('port' in told) throw new Error(`${this.subject.name} did not say its costs`)
    return told
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }
}
