import { UNDER_WAY, type Point } from '../plan/points.ts'
import type { ArmMessage } from './messages.ts'

/** Makes this process die or stand still at a point of a request's life. */
export class Trap {
  #armed: ArmMessage | undefined
  readonly #tell: (point: Point) => Promise<void>

  constructor(tell: (point: Point) => Promise<void>) {
    this.#tell = tell
  }

  arm(message: ArmMessage): void {
    this.#armed = message
  }

  /** A request is there. Most go on at once. */
  async pass(point: Point): Promise<void> {
    const armed = this.#armed
    if (armed?.point !== point) return
    this.#armed = undefined
    if (UNDER_WAY.has(point)) await new Promise((resolve) => setTimeout(resolve, armed.delayMs))
    await this.#tell(point)
    process.kill(process.pid, armed.how === 'kill' ? 'SIGKILL' : 'SIGSTOP')
  }
}
