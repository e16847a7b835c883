import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULTS } from '../../defaults.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { Circuit } from './circuit.ts'
import { REFUSED, type Verdict } from './permit.ts'

const { windowMs, failureRate, minimumCalls, openMs, maxOpenMs } = DEFAULTS.circuitBreaker
const LEASE_MS = 7000
const BUCKET_MS = windowMs / 10

/** An attempt under way, in both worlds. */
interface Running {
  readonly permit: number
  readonly epoch: number
  readonly isProbe: boolean
}

/**
 * The breaker as its definition reads: every sample is kept with its time and the whole list is looked through each
 * time; nothing is counted ahead, no generation numbers, no buckets.
 */
class Model {
  state: 'closed' | 'open' | 'half-open' | 'isolated' = 'closed'
  epoch = 0
  #samples: { bucket: number; failed: boolean }[] = []
  #untilMs = 0
  #openings = 0
  #probeEndsMs: number | undefined

  look(nowMs: number): void {
    if (this.state === 'half-open' && this.#probeEndsMs !== undefined && nowMs >= this.#probeEndsMs) {
      this.#open(this.#probeEndsMs)
    }
  }

  /** Whether an attempt is let through, and as what. */
  acquire(nowMs: number): 'refused' | 'normal' | 'probe' {
    this.look(nowMs)
    if (this.state === 'closed') return 'normal'
    const due = this.state === 'open' && nowMs >= this.#untilMs
    const free = this.state === 'half-open' && this.#probeEndsMs === undefined
    if (!due && !free) return 'refused'
    this.state = 'half-open'
    this.epoch++
    this.#probeEndsMs = nowMs + LEASE_MS
    return 'probe'
  }

  settle({ epoch, isProbe }: Running, verdict: Verdict, nowMs: number): void {
    if (epoch !== this.epoch) return
    if (isProbe) {
      this.#probeEndsMs = undefined
      if (verdict === 'success') this.reset()
      if (verdict === 'failure') this.#open(nowMs)
    } else if (verdict !== 'ignored') {
      this.#samples.push({ bucket: Math.floor(nowMs / BUCKET_MS), failed: verdict === 'failure' })
      const recent = this.#samples.filter(({ bucket }) => Math.floor(nowMs / BUCKET_MS) - bucket < 10)
      const failures = recent.filter(({ failed }) => failed).length
      if (recent.length >= minimumCalls && failures / recent.length >= failureRate) this.#open(nowMs)
    }
  }

  isolate(): void {
    this.#enter('isolated')
  }

  reset(): void {
    this.#enter('closed')
    this.#samples = []
    this.#openings = 0
  }

  #open(sinceMs: number): void {
    this.#enter('open')
    const meanMs = Math.min(maxOpenMs, openMs * 2 ** this.#openings)
    // With a chance of 0.5 the time is the middle of what the cap leaves of ±25 %.
    this.#untilMs = sinceMs + (0.75 * meanMs + Math.min(maxOpenMs, 1.25 * meanMs)) / 2
    this.#openings++
  }

  #enter(state: Model['state']): void {
    this.state = state
    this.epoch++
    this.#probeEndsMs = undefined
  }
}

class World {
  readonly clock: VirtualClock = virtualClock()
  readonly model = new Model()
  readonly circuit: Circuit = new Circuit('key', {
    settings: { ...DEFAULTS.circuitBreaker, leaseMs: LEASE_MS },
    clock: this.clock,
    random: () => 0.5,
    onChange: () => {},
    onProbeReturned: () => {},
  })
  readonly running: Running[] = []

  start(): void {
    const admitted = this.model.acquire(this.clock.now())
    const permit = this.circuit.tryAcquire()
    expect(permit === REFUSED ? 'refused' : 'admitted').toBe(admitted === 'refused' ? 'refused' : 'admitted')
    if (permit !== REFUSED) {
      this.running.push({ permit, epoch: this.model.epoch, isProbe: admitted === 'probe' })
    }
  }

  end(index: number, verdict: Verdict): void {
    const [attempt] = this.running.splice(index % Math.max(1, this.running.length), 1)
    if (attempt === undefined) return
    this.model.settle(attempt, verdict, this.clock.now())
    this.circuit.settle(attempt.permit, verdict)
  }
}

const verdict = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Verdict>('failure') },
  { weight: 3, arbitrary: fc.constant<Verdict>('success') },
  { weight: 1, arbitrary: fc.constant<Verdict>('ignored') },
)

const step = fc.oneof(
  { weight: 10, arbitrary: fc.constant({ kind: 'start' as const }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('end' as const), index: fc.nat(100), verdict }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('whole' as const),
      count: fc.integer({ min: 1, max: 12 }),
      verdict,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'isolate' as const }, { kind: 'reset' as const }) },
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function take(world: World, each: Step): Promise<void> {
  if (each.kind === 'start') world.start()
  else if (each.kind === 'end') world.end(each.index, each.verdict)
  else if (each.kind === 'pass') await world.clock.advance(each.ms)
  else if (each.kind === 'whole') {
    for (let call = 0; call < each.count; call++) {
      const before = world.running.length
      world.start()
      if (world.running.length > before) world.end(before, each.verdict)
    }
  } else {
    world.model[each.kind]()
    world.circuit[each.kind]()
  }
}

test('agrees with a plain model of its definition over random sequences', async () => {
  const visited = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const world = new World()
      for (const each of steps) {
        await take(world, each)
        world.model.look(world.clock.now())
        expect(world.circuit.state).toBe(world.model.state)
        visited.add(world.model.state)
      }
    }),
    { numRuns: 150 },
  )
  // The sequences must have been worth it.
  expect([...visited].toSorted()).toEqual(['closed', 'half-open', 'isolated', 'open'])
}, 30_000)
