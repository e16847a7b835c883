import { systemClock, type Clock } from '../primitives/clock.ts'
import { delay } from '../primitives/delay.ts'
import type { AbortListener, Scope } from '../primitives/signal.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import { Leases, Line } from './workers.ts'

/** Places for work that runs at the same time, and a queue, first come first served, for what finds none. */
export class Semaphore {
  readonly maxQueued: number
  #limit: number
  #running = 0
  readonly #queue = new Queue()
  /** Of those who can't be let in by others. */
  readonly #line: Line | undefined
  readonly #leases: Leases | undefined
  readonly #clock: Clock

  constructor(limit: number, maxQueued: number, clock: Clock = systemClock) {
    this.#limit = limit
    this.maxQueued = maxQueued
    this.#clock = clock
    if (!onWorkers()) return
    this.#line = new Line(clock)
    this.#leases = new Leases(clock)
  }

  get running(): number {
    return this.#running
  }

  get queued(): number {
    return this.#queue.size + (this.#line?.size ?? 0)
  }

  /** Whoever waits does so for one that runs. */
  get isIdle(): boolean {
    return this.#running === 0
  }

  get limit(): number {
    return this.#limit
  }

  /** A lower limit takes no place away: nobody is let in until enough have left. */
  set limit(limit: number) {
    this.#limit = limit
    this.#admit()
  }

  /**
   * Takes a place, at once or when the returned promise resolves; whoever got one gives it back by `leave`.
   *
   * @param endMs When whoever takes it is at its end at the latest, in terms of `clock.now()`.
   * @throws the reason of a scope that has ended or ends in the queue; what `whenFull` makes, if there is no room to wait
   */
  enter(scope: Scope, whenFull: () => Error, endMs: number = Infinity): Promise<void> | undefined {
    if (scope.aborted) throw scope.reason
    const { queued } = this
    if (queued === 0 && this.#take(endMs)) return undefined
    if (queued >= this.maxQueued) throw whenFull()
    return this.#line?.turn(scope, () => this.#take(endMs)) ?? this.#wait(scope, endMs)
  }

  leave(): void {
    if (this.#leases?.giveBack() === false) return
    this.#running--
    this.#admit()
  }

  /** For messages. */
  get summary(): string {
    return `${this.#running} running (at most ${this.#limit}), ${this.queued} waiting (at most ${this.maxQueued})`
  }

  #take(endMs: number): boolean {
    this.#running -= this.#leases?.takeEnded() ?? 0
    if (this.#running >= this.#limit) return false
    this.#running++
    this.#leases?.add(endMs)
    return true
  }

  async #wait(scope: Scope, endMs: number): Promise<void> {
    // Else the end is one by another clock, as in tests that give theirs to some policies only.
    const isInTime = this.#clock.now() < endMs
    await this.#queue.join(scope)
    // A process that was stopped meanwhile may wake too late: the timer that ends the scope is due, and goes off first.
    if (isInTime && this.#clock.now() >= endMs) await delay(this.#clock, 1, scope).catch(() => {})
    // The turn came, and before it could be used the scope ended.
    if (!scope.aborted) return
    this.leave()
    throw scope.reason
  }

  #admit(): void {
    while (this.#running < this.#limit && this.#queue.admitFirst()) this.#running++
  }
}

/** Goes on with a place that `enter` has given, at once or in its turn; `refused` is told why there is none. */
export function onTurn(
  turn: Promise<void> | undefined,
  refused: (error: unknown) => void,
  go: () => void,
): void {
  if (turn === undefined) go()
  else turn.then(go, refused)
}

/** A linked list: what waits may leave from the middle, and a `Set` is slow at giving its first when it is long. */
class Queue {
  size = 0
  #first: Waiter | undefined
  #last: Waiter | undefined

  /** Resolves when it is the turn of `scope`; rejects with its reason when that ends first. */
  join(scope: Scope): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(scope, resolve, () => {
        this.#remove(waiter)
        reject(scope.reason)
      })
      scope.add(waiter)
      this.#append(waiter)
    })
  }

  admitFirst(): boolean {
    const first = this.#first
    if (first === undefined) return false
    this.#remove(first)
    first.admit()
    return true
  }

  #append(waiter: Waiter): void {
    waiter.ahead = this.#last
    if (this.#last === undefined) this.#first = waiter
    else this.#last.behind = waiter
    this.#last = waiter
    this.size++
  }

  #remove({ ahead, behind }: Waiter): void {
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    this.size--
  }
}

class Waiter implements AbortListener {
  ahead: Waiter | undefined
  behind: Waiter | undefined
  readonly onAbort: () => void
  readonly #scope: Scope
  readonly #resolve: () => void

  constructor(scope: Scope, resolve: () => void, onAbort: () => void) {
    this.#scope = scope
    this.#resolve = resolve
    this.onAbort = onAbort
  }

  admit(): void {
    this.#scope.remove(this)
    this.#resolve()
  }
}
