import { seededRandom } from '../../../src/testing/seeded-random.ts'
import type { TortureSettings } from '../settings.ts'
import { Client, type ClientOptions } from './client.ts'
import { Lateness } from './lateness.ts'
import type { Observation } from './observation.ts'

/** One operation in ten is sent by two at once, another one is sent once more when its answer is there. */
const TWINS = 0.1
const REPEATED = 0.1

export interface CrowdOptions extends Omit<ClientOptions, 'isStarved'> {
  readonly settings: TortureSettings
  readonly onEnded: (ended: number) => void
  /** Resolves when the next operation may begin: the crowd must not be done before the plan is. */
  readonly pace: () => Promise<void>
}

/** Lets the crowd perform all operations, a client one after the other. */
export async function letCrowdWork(options: CrowdOptions): Promise<Observation[]> {
  const { operations, clients: size } = options.settings
  const observations: Observation[] = []
  let next = 0
  const work = async (client: Client): Promise<void> => {
    while (next < operations) {
      await options.pace()
      if (next >= operations) return
      observations.push(await observe(client, next++, options.settings.seed))
      options.onEnded(observations.length)
    }
  }
  const lateness = new Lateness(options.clock)
  const isStarved = (): boolean => lateness.isTooMuch
  const clients = Array.from(
    { length: Math.min(size, operations) },
    (_, index) => new Client(index, { ...options, isStarved }),
  )
  try {
    await Promise.all(clients.map(work))
  } finally {
    lateness.stop()
  }
  return observations
}

async function observe(client: Client, operation: number, seed: number): Promise<Observation> {
  const key = `torture-${operation}`
  const drawn = seededRandom(seed, 'sendings', operation)()
  const perform = (): ReturnType<Client['perform']> => client.perform(operation, key)
  if (drawn < TWINS) return { operation, key, endings: await Promise.all([perform(), perform()]) }
  const first = await perform()
  const endings = drawn < TWINS + REPEATED ? [first, await perform()] : [first]
  return { operation, key, endings }
}
