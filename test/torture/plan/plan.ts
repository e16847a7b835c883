import { seededRandom } from '../../../src/testing/seeded-random.ts'
import { TIMES, type TortureSettings } from '../settings.ts'
import { POINTS, type Point } from './points.ts'

export type Where = 'clients' | 'store'
export type Direction = 'up' | 'down' | 'both'

export interface Partition {
  readonly where: Where
  /** `up` is towards the server or the store. */
  readonly direction: Direction
  readonly ms: number
  /** Whether what was held up arrives late, or its connections end. */
  readonly heals: boolean
}

export type Blow =
  /** SIGKILL, at a point of a request's life or at any time. */
  | { readonly kind: 'kill'; readonly point: Point | undefined; readonly delayMs: number }
  /** SIGSTOP, and SIGCONT when `ms` have passed: longer than a lease and than a client waits. */
  | {
      readonly kind: 'freeze'
      readonly point: Point | undefined
      readonly delayMs: number
      readonly ms: number
    }
  | ({ readonly kind: 'partition' } & Partition)

/** Something that befalls one server, once so many operations have ended. */
export interface Strike {
  readonly afterOperations: number
  /** The server, if it is up; else the next one that is. */
  readonly server: number
  readonly blow: Blow
}

type PlanSettings = Pick<TortureSettings, 'seed' | 'operations' | 'kills' | 'servers' | 'shop'>

/**
 * Every strike of a run, from its seed alone. Kills and freezes visit every point once; from then on every second one
 * is at a point, and the others come at any time. SQLite has no network to its store.
 */
export function planStrikes(settings: PlanSettings): Strike[] {
  const { seed, operations, kills, servers, shop } = settings
  const others = Math.max(2, Math.ceil(kills / 4))
  const blows = [
    ...Array.from({ length: kills }, (_, index) => kill(seed, index)),
    ...Array.from({ length: others }, (_, index) => freeze(seed, index)),
    ...Array.from({ length: others }, (_, index) => partition(seed, index, shop !== 'sqlite')),
  ]
  const random = seededRandom(seed, 'order')
  return shuffled(blows, random).map((blow, index) => ({
    afterOperations: Math.floor((operations * index) / blows.length),
    server: Math.floor(random() * servers),
    blow,
  }))
}

/** Each point once, from `first` on, then every second one at a point, in turn. */
function pointOf(index: number, first: Point): Point | undefined {
  const later = index - POINTS.length
  if (later >= 0 && later % 2 === 0) return undefined
  const turn = later < 0 ? index : Math.floor(later / 2)
  return POINTS[(POINTS.indexOf(first) + turn) % POINTS.length]
}

/**
 * What a short run has of them is what finds a store without fencing out, whatever else happens: an order that is done
 * and not recorded is done again by whoever takes its key over; who stood still with a key, past its lease, does what
 * somebody else has done meanwhile.
 */
const FIRST_KILL: Point = 'after effect'
const FIRST_FREEZE: Point = 'acquired'

function kill(seed: number, index: number): Blow {
  const random = seededRandom(seed, 'kill', index)
  return { kind: 'kill', point: pointOf(index, FIRST_KILL), delayMs: random() * 4 }
}

/** So long that its lease is over and its client has asked elsewhere when it goes on. */
function freeze(seed: number, index: number): Blow {
  const random = seededRandom(seed, 'freeze', index)
  const ms = TIMES.attemptMs + TIMES.leaseMs * (0.5 + random())
  return { kind: 'freeze', point: pointOf(index, FIRST_FREEZE), delayMs: random() * 4, ms }
}

function partition(seed: number, index: number, hasStoreLink: boolean): Blow {
  const random = seededRandom(seed, 'partition', index)
  const where = hasStoreLink && random() < 0.6 ? 'store' : 'clients'
  const direction = oneOf(['up', 'down', 'both'] as const, random())
  return { kind: 'partition', where, direction, ms: 200 + 1000 * random(), heals: random() < 0.5 }
}

function oneOf<T>(values: readonly [T, ...T[]], drawn: number): T {
  return values[Math.floor(drawn * values.length)] ?? values[0]
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const drawn = values.map((value) => ({ value, place: random() }))
  return drawn.sort((a, b) => a.place - b.place).map(({ value }) => value)
}
