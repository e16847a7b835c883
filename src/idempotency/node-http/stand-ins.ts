import type { ServerResponse } from 'node:http'

const METHODS = [
  'writeHead',
  '_implicitHeader',
  'write',
  'end',
  'flushHeaders',
  'setHeader',
  'appendHeader',
  'removeHeader',
  'emit',
  'destroy',
  'writeContinue',
  'writeEarlyHints',
  'writeProcessing',
] as const
const GETTERS = ['headersSent', 'writableEnded', 'closed'] as const

/** The members of a response that are replaced. */
export type MethodName = (typeof METHODS)[number]
export type GetterName = (typeof GETTERS)[number]

/** Who stands in for a response. */
export interface StandIn {
  call(name: MethodName, args: unknown[]): unknown
  read(name: GetterName): unknown
}

/** Where a response keeps its stand-in. A property, so that objects made from the response find it, too. */
const STAND_IN = Symbol('holdfast.stand-in')

function standInOf(response: object): StandIn | undefined {
  // Only `replaceMembers` sets it.
  return Reflect.get(response, STAND_IN) as StandIn | undefined
}

/**
 * The replacements are the same functions for every response, and they stay: with a closure for each, and with taking
 * them back, V8 gives every response a shape of its own, which made a request three times as expensive.
 */
const methods = Object.fromEntries(
  METHODS.map((name) => [
    name,
    function (this: object, ...args: unknown[]): unknown {
      return standInOf(this)?.call(name, args)
    },
  ]),
)
const getters: PropertyDescriptorMap = Object.fromEntries(
  GETTERS.map((name) => [
    name,
    {
      configurable: true,
      get(this: object): unknown {
        return standInOf(this)?.read(name)
      },
    },
  ]),
)

/** What a response did before, however it came by it: from its class, or from a middleware outside. */
export class Originals implements StandIn {
  readonly #response: ServerResponse
  /** Another layer that stands in for the same response. */
  readonly #outer: StandIn | undefined
  readonly #own: ReadonlyMap<MethodName, unknown> | undefined

  constructor(response: ServerResponse) {
    this.#response = response
    this.#outer = standInOf(response)
    if (this.#outer === undefined) this.#own = ownMethods(response)
  }

  call(name: MethodName, args: unknown[]): unknown {
    if (this.#outer !== undefined) return this.#outer.call(name, args)
    const original = this.#own?.get(name) ?? Reflect.get(this.#class, name)
    return typeof original === 'function' ? Reflect.apply(original, this.#response, args) : undefined
  }

  read(name: GetterName): unknown {
    return this.#outer?.read(name) ?? Reflect.get(this.#class, name, this.#response)
  }

  /** Looked up each time: a framework inside may give the response another one. */
  get #class(): object {
    return Object(Object.getPrototypeOf(this.#response))
  }
}

function ownMethods(response: ServerResponse): Map<MethodName, unknown> | undefined {
  let own: Map<MethodName, unknown> | undefined
  for (const name of METHODS) {
    if (Object.hasOwn(response, name)) (own ??= new Map()).set(name, Reflect.get(response, name))
  }
  return own
}

export function replaceMembers(response: ServerResponse, standIn: StandIn): void {
  Reflect.set(response, STAND_IN, standIn)
  Object.assign(response, methods)
  Object.defineProperties(response, getters)
}

/** Whether somebody has put himself before a method since it was replaced. */
export function isWrapped(response: ServerResponse, name: MethodName): boolean {
  return Reflect.get(response, name) !== methods[name]
}

/** Takes that back. */
export function unwrap(response: ServerResponse, name: MethodName): void {
  if (isWrapped(response, name)) Reflect.set(response, name, methods[name])
}
