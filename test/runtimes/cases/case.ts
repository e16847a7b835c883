import type { Fault } from '../../../src/testing/fault-server/faults.ts'

/** What kind of place a case runs in: the few that differ by nature. */
export type Place = 'process' | 'worker' | 'page'

/** An API of a case's own: a path of the backend, which fails as it is told and then answers `{"ok":true}`. */
export interface Api {
  readonly url: string
  /** What has arrived, in order. */
  requests(): Promise<readonly Arrived[]>
}

export interface Arrived {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Everything that a case needs of the world around it. */
export interface World {
  readonly place: Place
  api(...faults: readonly Fault[]): Promise<Api>
  /** The same at another origin, which lets pages of this one ask; a preflight allows these headers. */
  foreignApi(allowHeaders: string, ...faults: readonly Fault[]): Promise<Api>
}

/** One sentence about the client that holds in every runtime, checked with plain functions: no test runner is asked for. */
export interface Case {
  readonly name: string
  /** Where it can't be run, and why. */
  readonly notIn?: Partial<Record<Place, string>>
  run(world: World): Promise<void>
}

/** What a runtime prints of each case, a line of JSON. */
export interface CaseResult {
  readonly name: string
  readonly result: 'passed' | 'failed' | 'skipped'
  readonly error?: string
}

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what)
}

export function same(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (found !== wanted) throw new Error(`${what}: expected ${wanted}, got ${found}`)
}

/** What the promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it should have been rejected')
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs one case, bounded: what hangs has failed. */
export async function runCase(each: Case, world: World): Promise<CaseResult> {
  const { name } = each
  const reason = each.notIn?.[world.place]
  if (reason !== undefined) return { name, result: 'skipped', error: reason }
  let timer: ReturnType<typeof setTimeout> | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it took longer than 10 s')), 10_000)
  })
  try {
    await Promise.race([each.run(world), tooLong])
    return { name, result: 'passed' }
  } catch (error) {
    return { name, result: 'failed', error: error instanceof Error ? describe(error) : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

const describe = (error: Error): string => {
  const cause = error.cause instanceof Error ? ` (cause: ${error.cause.message})` : ''
  return `${error.name}: ${error.message}${cause}`
}
