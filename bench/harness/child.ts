import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { root } from './machine.ts'

/** A part of a benchmark in a process of its own, which answers each message with one. */
export class Child<Told> implements AsyncDisposable {
  readonly #name: string
  readonly #child: ChildProcess

  /** @param probe a file of the built benchmarks */
  constructor(name: string, probe: string, args: readonly string[]) {
    this.#name = name
    this.#child = fork(join(root, '.cache/bench', probe), args, { cwd: root })
  }

  ask(message: object | string): Promise<Told> {
    this.#child.send(message)
    return this.told()
  }

  /** What it says next. */
  async told(): Promise<Told> {
    const controller = new AbortController()
    const { signal } = controller
    const died = once(this.#child, 'exit', { signal }).then(([code]) => {
      throw new Error(`"${this.#name}" ended with ${code}`)
    })
    try {
      const [told] = (await Promise.race([once(this.#child, 'message', { signal }), died])) as [Told]
      return told
    } finally {
      died.catch(() => {})
      controller.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#child.connected) return
    const ended = once(this.#child, 'exit')
    this.#child.send('end')
    await ended
  }
}
