import type { Clock } from '../primitives/clock.ts'
import { delay } from '../primitives/delay.ts'
import type { Scope } from '../primitives/signal.ts'

/** How often who waits on a worker looks for news: nobody else can bring any. */
const LOOK_AGAIN_MS = 25

/** Who has not looked for so long never will: its request has ended. */
const GONE_AFTER_MS = 5000

/** Places that are held by calls: one whose request has ended never gives its place back, so its own end does. */
export class Leases {
  readonly #clock: Clock
  #endsMs: number[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(endMs: number): void {
    this.#endsMs.push(endMs)
  }

  /** Gives one back. Which one is not known: the first to end, so that no other is counted as ended too soon. */
  giveBack(): boolean {
    this.#endsMs.sort((a, b) => a - b)
    return this.#endsMs.shift() !== undefined
  }

  /** How many have ended since it was asked last. */
  takeEnded(): number {
    const now = this.#clock.now()
    const before = this.#endsMs.length
    this.#endsMs = this.#endsMs.filter((endMs) => endMs > now)
    return before - this.#endsMs.length
  }
}

/** A line in which each waits by a timer of its own. */
export class Line {
  readonly #clock: Clock
  /** When each has looked last, in the order in which they came. */
  readonly #waiting = new Map<object, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    const gone = this.#clock.now() - GONE_AFTER_MS
    for (const [waiter, lookedMs] of this.#waiting) if (lookedMs < gone) this.#waiting.delete(waiter)
    return this.#waiting.size
  }

  /** Resolves when there may be news, after `delayMs` at the latest; rejects with the scope's reason when that ends. */
  wait(scope: Scope, delayMs: number = LOOK_AGAIN_MS): Promise<void> {
    return this.#stand((look) => look(scope, delayMs))
  }

  /** Resolves when it is the caller's turn and `enter` has taken it. */
  turn(scope: Scope, enter: () => boolean): Promise<void> {
    return this.#stand(async (look, self) => {
      do await look(scope, LOOK_AGAIN_MS)
      while (!this.#isFirst(self) || !enter())
    })
  }

  async #stand(
    work: (look: (scope: Scope, delayMs: number) => Promise<void>, self: object) => Promise<void>,
  ): Promise<void> {
    const self = {}
    const look = async (scope: Scope, delayMs: number): Promise<void> => {
      await delay(this.#clock, Math.min(delayMs, LOOK_AGAIN_MS), scope)
      this.#waiting.set(self, this.#clock.now())
    }
    this.#waiting.set(self, this.#clock.now())
    try {
      await work(look, self)
    } finally {
      this.#waiting.delete(self)
    }
  }

  #isFirst(self: object): boolean {
    return this.size > 0 && this.#waiting.keys().next().value === self
  }
}
