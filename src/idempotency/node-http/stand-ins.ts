import type { ServerResponse } from 'node:http'

/** Members of a response that are replaced while it is held back. */
export type StandIns = Readonly<Record<string, PropertyDescriptor>>

/** What a response had before, however it came by it: from its class, or from a middleware outside. */
export class Originals {
  readonly #response: ServerResponse
  readonly #standIns: StandIns
  readonly #own: ReadonlyMap<string, PropertyDescriptor | undefined>
  readonly #values: ReadonlyMap<string, unknown>

  constructor(response: ServerResponse, standIns: StandIns) {
    const names = Object.keys(standIns)
    this.#response = response
    this.#standIns = standIns
    this.#own = new Map(names.map((name) => [name, Object.getOwnPropertyDescriptor(response, name)]))
    this.#values = new Map(names.map((name) => [name, Reflect.get(response, name)]))
    Object.defineProperties(response, { ...standIns })
  }

  call(name: string, ...args: unknown[]): unknown {
    const original = this.#values.get(name)
    return typeof original === 'function' ? Reflect.apply(original, this.#response, args) : undefined
  }

  /** What somebody inside has put over a stand-in stays: it still calls the stand-in, which passes on. */
  restore(): void {
    for (const [name, before] of this.#own) {
      const now = Object.getOwnPropertyDescriptor(this.#response, name)
      const standIn = this.#standIns[name]
      if (now?.value !== standIn?.value || now?.get !== standIn?.get) continue
      if (before === undefined) Reflect.deleteProperty(this.#response, name)
      else Object.defineProperty(this.#response, name, before)
    }
  }
}

export function method(value: (...args: unknown[]) => unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

export function accessor(get: () => unknown, set: (value: unknown) => void): PropertyDescriptor {
  return { get, set, configurable: true, enumerable: false }
}

export function getter(get: () => unknown): PropertyDescriptor {
  return { get, configurable: true, enumerable: false }
}
