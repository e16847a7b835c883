import { Child } from '../harness/child.ts'
import { expectOrders } from './orders.ts'
import { serverSubjects } from './all.ts'
import { Load, type Keys } from './load.ts'
import type { ServerSubject } from './subject.ts'

/** What the process has used since it began. */
export interface Costs {
  readonly cpuUs: number
  readonly roundTrips: number
  /** How many orders it has made. */
  readonly executions: number
}

/** What the process of a server says. */
export type Told = { readonly port: number } | Costs

/** What one request took. */
export interface Sample {
  /** Of the wall: all of the time, divided by all requests. */
  readonly us: number
  readonly cpuUs: number
  readonly roundTrips: number
}

/** A server of the benchmark, in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly subject: ServerSubject
  readonly #child: Child<Told>
  readonly #port: number
  #load: Load | undefined

  private constructor(subject: ServerSubject, child: Child<Told>, port: number) {
    this.subject = subject
    this.#child = child
    this.#port = port
  }

  static async start(subject: ServerSubject): Promise<ServerProcess> {
    const place = String(serverSubjects.indexOf(subject))
    const child = new Child<Told>(`the server ${subject.name}`, 'server-probe.js', [place])
    const told = await child.told()
    if (!('port' in told)) throw new Error(`${subject.name} did not say its port`)
    return new ServerProcess(subject, child, told.port)
  }

  /** From here on so many requests are under way at once; the known keys have their responses. */
  async connect(connections: number): Promise<void> {
    this.#load?.close()
    this.#load = await Load.open(this.#port, connections)
    await this.#load.record()
  }

  async sample(keys: Keys, requests: number): Promise<Sample> {
    if (this.#load === undefined) throw new Error('a server is connected to before it is measured')
    const before = await this.#costs()
    const tookMs = await this.#load.send(keys, requests)
    const after = await this.#costs()
    expectOrders(this.subject, keys, requests, after.executions - before.executions)
    return {
      us: (tookMs * 1000) / requests,
      cpuUs: (after.cpuUs - before.cpuUs) / requests,
      roundTrips: (after.roundTrips - before.roundTrips) / requests,
    }
  }

  async #costs(): Promise<Costs> {
    const told = await this.#child.ask('costs')
    if ('port' in told) throw new Error(`${this.subject.name} did not say its costs`)
    return told
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#load?.close()
    await this.#child[Symbol.asyncDispose]()
  }
}
