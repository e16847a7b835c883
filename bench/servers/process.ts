import { setTimeout } from 'node:timers/promises'
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
}

/** A database beside it answers within this. */
const AFTERMATH_MS = 3

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
    let tookMs = 0
    const costs = await this.#costsOf(keys, requests, async (load) => {
      tookMs = await load.send(keys, requests)
    })
    return { us: (tookMs * 1000) / requests, cpuUs: costs.cpuUs / requests }
  }

  /** How often a request asks the store: one after the other, each with time for what is asked after the answer. */
  async roundTrips(keys: Keys, requests: number): Promise<number> {
    const costs = await this.#costsOf(keys, requests, async (load) => {
      for (let sent = 0; sent < requests; sent++) {
        await load.send(keys, 1)
        await setTimeout(AFTERMATH_MS)
      }
    })
    return costs.roundTrips / requests
  }

  async #costsOf(keys: Keys, requests: number, send: (load: Load) => Promise<void>): Promise<Costs> {
    if (this.#load === undefined) throw new Error('a server is connected to before it is measured')
    const before = await this.#costs()
    await send(this.#load)
    const after = await this.#costs()
    const executions = after.executions - before.executions
    expectOrders(this.subject, keys, requests, executions)
    return {
      executions,
      cpuUs: after.cpuUs - before.cpuUs,
      roundTrips: after.roundTrips - before.roundTrips,
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
