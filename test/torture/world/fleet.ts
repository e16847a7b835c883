import { linkFault } from '../plan/link-faults.ts'
import type { Blow, Strike } from '../plan/plan.ts'
import { pause } from '../proxy/connection.ts'
import { Link, type Target } from '../proxy/link.ts'
import type { ServerConfig } from '../server/messages.ts'
import { TIMES, type TortureSettings } from '../settings.ts'
import type { Shop } from '../shops/shop.ts'
import { ServerProcess } from './server-process.ts'
import { Tally } from './tally.ts'

/** One place in the fleet: a server, the next one when it has died, and its own link to the store. */
interface Slot {
  readonly storeLink: Link<Target> | undefined
  readonly config: ServerConfig
  server: ServerProcess | undefined
  /** Whether something is being done to it. */
  struck: boolean
}

export interface Struck {
  readonly faults: Tally
  readonly kills: Tally
  readonly freezes: Tally
  readonly partitions: Tally
  /** Servers that ended by themselves, which none should. */
  readonly crashes: Tally
}

/** The servers, what is between them, their clients and their store, and who strikes them. */
export class Fleet {
  readonly struck: Struck = {
    faults: new Tally(),
    kills: new Tally(),
    freezes: new Tally(),
    partitions: new Tally(),
    crashes: new Tally(),
  }
  readonly #shop: Shop
  readonly #slots: Slot[] = []
  #front: Link<ServerProcess> | undefined
  #next = 0
  /** Strikes for which every server is busy with another one. */
  #waiting = 0
  #closing = false
  /** Servers that are being started: an end has to wait for them, to end them too. */
  readonly #starting = new Set<Promise<unknown>>()
  #crowdLeft: () => void = () => {}
  readonly #crowdGone = new Promise<false>((resolve) => {
    this.#crowdLeft = () => resolve(false)
  })

  private constructor(shop: Shop) {
    this.#shop = shop
  }

  static async start(shop: Shop, settings: TortureSettings): Promise<Fleet> {
    const fleet = new Fleet(shop)
    try {
      fleet.#front = await Link.open({
        pick: () => fleet.#pick(),
        faultFor: (connection, message) => linkFault(settings.seed, 'clients', '', connection, message),
        onFault: (kind) => fleet.struck.faults.add(`clients: ${kind}`),
      })
      // The first one alone: it makes what it needs in the database.
      for (let index = 0; index < settings.servers; index++)
        fleet.#slots.push(await fleet.#open(index, settings))
      return fleet
    } catch (error) {
      await fleet.close()
      throw error
    }
  }

  /** Where clients find the service. */
  get url(): string {
    return `http://127.0.0.1:${this.#front?.port}/orders`
  }

  /** Resolves when it is over, and a server that died has a successor. */
  async strike({ server, blow }: Strike): Promise<void> {
    this.#waiting++
    const slot = await this.#upSlot(server)
    this.#waiting--
    slot.struck = true
    try {
      await this.#hit(slot, blow)
      if (slot.server?.gone === true) await this.#restart(slot)
    } finally {
      slot.struck = false
    }
  }

  /** How many strikes are due and wait for a server. */
  get waiting(): number {
    return this.#waiting
  }

  /** There will be no more requests: nothing has to be waited for at a point. */
  crowdLeft(): void {
    this.#crowdLeft()
  }

  /** Ends every server without notice, and everything between. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#starting)
    await Promise.all(this.#slots.map(async ({ server }) => server?.kill()))
    await Promise.all([this.#front?.close(), ...this.#slots.map(({ storeLink }) => storeLink?.close())])
  }

  async #open(index: number, { shop, seed, broken }: TortureSettings): Promise<Slot> {
    const { address } = this.#shop
    const storeLink =
      address === undefined
        ? undefined
        : await Link.open({
            pick: () => address,
            faultFor: (connection, message) => linkFault(seed, 'store', String(index), connection, message),
            onFault: (kind) => this.struck.faults.add(`store: ${kind}`),
          })
    // Every other one: what those without it say shows what the store has.
    const nearCache = index % 2 === 1
    const config = { shop, broken, nearCache, ...this.#shop.config(storeLink?.port) }
    const slot: Slot = { storeLink, config, server: undefined, struck: false }
    this.#put(slot, await ServerProcess.start(config))
    return slot
  }

  #put(slot: Slot, server: ServerProcess): void {
    slot.server = server
    server.onCrash((code) => {
      if (this.#closing) return
      this.struck.crashes.add(`exit code ${code}`)
      if (!slot.struck) void this.#restart(slot)
    })
  }

  async #restart(slot: Slot): Promise<void> {
    slot.server = undefined
    // The store may be cut off at the moment; a supervisor tries again.
    while (slot.server === undefined && !this.#closing) {
      const starting = this.#startAnew(slot)
      this.#starting.add(starting)
      await starting
      this.#starting.delete(starting)
    }
  }

  async #startAnew(slot: Slot): Promise<void> {
    const started = await ServerProcess.start(slot.config).catch(() => pause(100))
    if (!(started instanceof ServerProcess)) return
    if (this.#closing) await started.kill()
    else this.#put(slot, started)
  }

  async #hit({ server, storeLink }: Slot, blow: Blow): Promise<void> {
    if (server === undefined) return
    if (blow.kind === 'kill') return this.#kill(server, blow)
    if (blow.kind === 'freeze') return this.#freeze(server, blow)
    const { where, direction, ms, heals } = blow
    this.struck.partitions.add(`${where}: ${direction}, ${heals ? 'heals' : 'connections end'}`)
    if (where === 'clients') await this.#front?.partition(server, { direction, ms, heals })
    else if (this.#shop.address !== undefined)
      await storeLink?.partition(this.#shop.address, { direction, ms, heals })
  }

  async #kill(server: ServerProcess, { point, delayMs }: Blow & { kind: 'kill' }): Promise<void> {
    const reached = point !== undefined && (await this.#arm(server, { point, how: 'kill', delayMs }))
    this.struck.kills.add(reached ? point : 'at any time')
    await server.kill()
  }

  async #freeze(server: ServerProcess, { point, delayMs, ms }: Blow & { kind: 'freeze' }): Promise<void> {
    if (point !== undefined) server.thawAfter(ms)
    const reached = point !== undefined && (await this.#arm(server, { point, how: 'freeze', delayMs }))
    this.struck.freezes.add(reached ? point : 'at any time')
    // One that has got there stops itself; another stop might outlast the thaw.
    await (reached ? pause(ms) : server.freeze(ms))
  }

  async #arm(server: ServerProcess, message: Parameters<ServerProcess['arm']>[0]): Promise<boolean> {
    const reached = server.reaches(message.point, TIMES.armedMs)
    server.arm(message)
    return Promise.race([reached, this.#crowdGone])
  }

  /** As a load balancer would: in turn, a frozen server included, since nobody knows. */
  #pick(): ServerProcess | undefined {
    const up = this.#slots.flatMap(({ server }) => (server === undefined || server.gone ? [] : [server]))
    return up[this.#next++ % up.length]
  }

  async #upSlot(preferred: number): Promise<Slot> {
    for (;;) {
      for (let offset = 0; offset < this.#slots.length; offset++) {
        const slot = this.#slots[(preferred + offset) % this.#slots.length]
        if (slot?.server?.gone === false && !slot.struck) return slot
      }
      await pause(10)
    }
  }
}
