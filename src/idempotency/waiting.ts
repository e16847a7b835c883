import type { Timer } from '../primitives/clock.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import type { Claim } from './claim.ts'
import type { Settings } from './options.ts'
import type { AcquireResult } from './store.ts'

const FIRST_POLL_MS = 50
const LONGEST_POLL_MS = 1000

/** How a wait ended: `told` by an answer of the store, the others without news. */
export type Waited =
  | { readonly type: 'told'; readonly result: Exclude<AcquireResult, { type: 'busy' }> }
  | { readonly type: 'crowded' | 'timed-out' | 'gone' }
  | { readonly type: 'failed' }

/** Calls back when the client disconnects; returns a function that stops listening. */
export type WhenGone = (callback: () => void) => () => void

/** What wakes a waiter: the recorded response, where this process has it, or `ask`: the store may have news. */
type Wake = Extract<AcquireResult, { type: 'done' }> | 'ask'

/** Who waits for one key in this process, in order of arrival. The first one polls the store for all. */
type Room = Set<Waiter>

/**
 * Where duplicates wait for the first request. Whatever happens to a key in this process wakes those who wait for it;
 * for what happens elsewhere one of them asks the store, less and less often.
 */
export class WaitingRooms {
  readonly #settings: Settings
  readonly #rooms = new Map<string, Room>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Waits for the key of `claim` for `waitMs` at most. */
  async wait(claim: Claim, waitMs: number, whenGone: WhenGone | undefined): Promise<Waited> {
    const room: Room = this.#rooms.get(claim.fingerprint) ?? new Set()
    if (onWorkers()) this.#clear(room)
    if (room.size >= this.#settings.maxWaitersPerKey) return { type: 'crowded' }
    this.#rooms.set(claim.fingerprint, room)
    const waiter = new Waiter(this.#settings, room, waitMs)
    const forget = whenGone?.(() => waiter.end('gone'))
    try {
      return await this.#attend(claim, waiter)
    } finally {
      forget?.()
      waiter.leave()
      if (room.size === 0 && this.#rooms.get(claim.fingerprint) === room)
        this.#rooms.delete(claim.fingerprint)
    }
  }

  /**
   * On workers the code of a request stops with it, its `finally` included, so its place is not given back. It is taken
   * back when the wait would be over; abandoned rooms are deleted in the order in which they were opened.
   */
  #clear(entered: Room): void {
    leaveGone(entered)
    for (const [fingerprint, room] of this.#rooms) {
      leaveGone(room)
      if (room.size > 0) return
      this.#rooms.delete(fingerprint)
    }
  }

  /** The key was settled or given up: `response` is what was recorded. */
  wake(fingerprint: string, response: Uint8Array | undefined): void {
    for (const waiter of this.#rooms.get(fingerprint) ?? []) {
      // A copy for each: middleware outside may change a body in place.
      waiter.wake(response === undefined ? 'ask' : { type: 'done', response: new Uint8Array(response) })
    }
  }

  async #attend(claim: Claim, waiter: Waiter): Promise<Waited> {
    for (let isOver = false; ;) {
      const wake = await waiter.next()
      if (wake === 'gone' || (wake === 'timed-out' && isOver)) return { type: wake }
      if (typeof wake === 'object') return { type: 'told', result: wake }
      // At the end of its time a waiter asks once more: another process may have news since the last poll.
      isOver ||= wake === 'timed-out'
      const result = await acquired(claim)
      if (result === undefined) return { type: isOver ? 'timed-out' : 'failed' }
      if (result.type !== 'busy') {
        // What this waiter learnt concerns all of them. After `acquired` they go on waiting: for this run.
        if (result.type !== 'acquired') waiter.tellOthers()
        return { type: 'told', result }
      }
    }
  }
}

/** Nothing where the store can't be asked. */
async function acquired(claim: Claim): Promise<AcquireResult | undefined> {
  try {
    return await claim.acquire()
  } catch {
    return undefined
  }
}

function leaveGone(room: Room): void {
  for (const waiter of room) if (waiter.isOver) room.delete(waiter)
}

class Waiter {
  readonly #settings: Settings
  readonly #untilMs: number
  readonly #room: Room
  readonly #deadline: Timer
  #poll: Timer | undefined
  #pollMs = FIRST_POLL_MS
  #ended: 'gone' | 'timed-out' | undefined
  #woken: Wake | undefined
  #resolve: (() => void) | undefined

  constructor(settings: Settings, room: Room, waitMs: number) {
    this.#settings = settings
    this.#room = room
    room.add(this)
    this.#untilMs = settings.clock.now() + waitMs
    this.#deadline = settings.clock.schedule(() => this.end('timed-out'), waitMs, { keepAlive: true })
  }

  get isOver(): boolean {
    return this.#settings.clock.now() >= this.#untilMs
  }

  async next(): Promise<Wake | 'gone' | 'timed-out'> {
    if (this.#ended === undefined && this.#woken === undefined) {
      this.askWhenFirst()
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
      })
    }
    const wake = this.#woken
    this.#woken = undefined
    // News that came together with the end of the wait counts.
    return wake ?? this.#ended ?? 'ask'
  }

  wake(wake: Wake): void {
    this.#woken = wake
    // On workers a request must not resolve promises of another one: its own timer notices.
    if (onWorkers()) return
    this.#poll?.cancel()
    this.#poll = undefined
    this.#go()
  }

  end(how: 'gone' | 'timed-out'): void {
    this.#ended ??= how
    this.#go()
  }

  tellOthers(): void {
    for (const waiter of this.#room) if (waiter !== this) waiter.wake('ask')
  }

  /** Starts polling if this is the first waiter, to be called again when the one before it leaves. */
  askWhenFirst(): void {
    const [first] = this.#room
    if ((first !== this && !onWorkers()) || this.#poll !== undefined) return
    this.#poll = this.#settings.clock.schedule(() => this.#look(), this.#pollMs, { keepAlive: true })
    this.#pollMs = Math.min(2 * this.#pollMs, LONGEST_POLL_MS)
  }

  leave(): void {
    this.#deadline.cancel()
    this.#poll?.cancel()
    this.#room.delete(this)
    const [next] = this.#room
    if (!onWorkers()) next?.askWhenFirst()
  }

  #look(): void {
    this.#poll = undefined
    this.#woken ??= 'ask'
    this.#go()
  }

  #go(): void {
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve?.()
  }
}
