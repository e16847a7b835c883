import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULTS } from '../../primitives/defaults.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { Circuit } from './circuit.ts'
import { REFUSED, type Verdict } from './permit.ts'
import type { CircuitSettings } from './rules.ts'
import type { CircuitSnapshot } from './snapshot.ts'

const { windowMs, failureRate, minimumCalls, openMs, maxOpenMs } = DEFAULTS.circuitBreaker
const LEASE_MS = 7000
const SLOW_MS = 1000
const BUCKET_MS = windowMs / 10

type Rules = Pick<CircuitSettings, 'consecutive' | 'slowCall' | 'halfOpenProbes'>

/** An attempt under way, in both worlds. */
interface Running {
  readonly permit: number
  readonly startedMs: number
  readonly epoch: number
  readonly probe: Probe | undefined
}

interface Probe {
  readonly endsMs: number
}

interface Sample {
  bucket: number
  readonly failed: boolean
  readonly slow: boolean
}

const bucketAt = (nowMs: number): number => Math.floor(nowMs / BUCKET_MS)

/**
 * The breaker as its definition reads: every sample is kept with its time and the whole list is looked through each
 * time; nothing is counted ahead, no generation numbers, no buckets.
 */
class Model {
  state: 'closed' | 'open' | 'half-open' | 'isolated' = 'closed'
  epoch = 0
  readonly #rules: Rules
  #samples: Sample[] = []
  #untilMs = 0
  #openings = 0
  #probes: Probe[] = []
  #tested: Omit<Sample, 'bucket'>[] = []

  constructor(rules: Rules) {
    this.#rules = rules
  }

  look(nowMs: number): void {
    for (const probe of this.#probes.filter(({ endsMs }) => nowMs >= endsMs)) {
      if (this.#probes.includes(probe)) this.#test(probe, true, LEASE_MS, probe.endsMs)
    }
  }

  /** Whether an attempt is let through, and as what. */
  acquire(nowMs: number): Probe | 'normal' | 'refused' {
    this.look(nowMs)
    if (this.state === 'closed') return 'normal'
    if (this.state === 'open' && nowMs >= this.#untilMs) this.#enter('half-open')
    const free = this.#rules.halfOpenProbes - this.#tested.length - this.#probes.length
    if (this.state !== 'half-open' || free <= 0) return 'refused'
    const probe = { endsMs: nowMs + LEASE_MS }
    this.#probes.push(probe)
    return probe
  }

  settle({ epoch, probe, startedMs }: Running, verdict: Verdict, nowMs: number): void {
    this.look(nowMs)
    if (epoch !== this.epoch) return
    const durationMs = nowMs - startedMs
    const failed = verdict === 'failure'
    if (probe === undefined) {
      if (verdict !== 'ignored')
        this.#sample({ bucket: bucketAt(nowMs), ...this.#seen(failed, durationMs) }, nowMs)
    } else if (verdict !== 'ignored') this.#test(probe, failed, durationMs, nowMs)
    else this.#probes = this.#probes.filter((other) => other !== probe)
  }

  isolate(): void {
    this.#enter('isolated')
  }

  reset(): void {
    this.#enter('closed')
    this.#openings = 0
  }

  /** Goes on in another process, `ageMs` later by the wall clock. */
  move(nowMs: number, ageMs: number): void {
    this.look(nowMs)
    this.epoch++
    for (const sample of this.#samples) sample.bucket += bucketAt(nowMs - ageMs) - bucketAt(nowMs)
    if (this.state === 'half-open') {
      this.#enter('open')
      this.#untilMs = nowMs
    }
    if (this.state === 'open') this.#untilMs = Math.max(nowMs, this.#untilMs - ageMs)
  }

  #seen(failed: boolean, durationMs: number): Omit<Sample, 'bucket'> {
    return { failed, slow: this.#rules.slowCall !== false && durationMs > this.#rules.slowCall.durationMs }
  }

  #sample(sample: Sample, nowMs: number): void {
    this.#samples.push(sample)
    const recent = this.#samples.filter(({ bucket }) => bucketAt(nowMs) - bucket < 10)
    const inARow = recent.length - 1 - recent.findLastIndex(({ failed }) => !failed)
    const { consecutive } = this.#rules
    const byRow = consecutive !== false && sample.failed && inARow >= consecutive
    if (byRow || (recent.length >= minimumCalls && this.#isBad(recent, recent.length))) this.#open(nowMs)
  }

  #test(probe: Probe, failed: boolean, durationMs: number, nowMs: number): void {
    if (!this.#probes.includes(probe)) return
    this.#probes = this.#probes.filter((other) => other !== probe)
    this.#tested.push(this.#seen(failed, durationMs))
    if (this.#isBad(this.#tested, this.#rules.halfOpenProbes)) this.#open(nowMs)
    else if (this.#tested.length === this.#rules.halfOpenProbes) this.reset()
  }

  #isBad(samples: readonly Omit<Sample, 'bucket'>[], total: number): boolean {
    const { slowCall } = this.#rules
    const share = (what: 'failed' | 'slow'): number => samples.filter((sample) => sample[what]).length / total
    return share('failed') >= failureRate || (slowCall !== false && share('slow') >= slowCall.rate)
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
    this.#samples = []
    this.#probes = []
    this.#tested = []
  }
}

class World {
  readonly clock: VirtualClock = virtualClock()
  readonly #rules: Rules
  readonly model: Model
  circuit: Circuit
  running: Running[] = []
  readonly seen: Set<string>

  constructor(rules: Rules, seen: Set<string>) {
    this.#rules = rules
    this.seen = seen
    this.model = new Model(rules)
    this.circuit = this.#newCircuit()
  }

  start(): void {
    const admitted = this.model.acquire(this.clock.now())
    const permit = this.circuit.tryAcquire()
    expect(permit === REFUSED).toBe(admitted === 'refused')
    if (admitted === 'refused') return
    const probe = admitted === 'normal' ? undefined : admitted
    expect(this.circuit.isProbe(permit)).toBe(probe !== undefined)
    this.running.push({ permit, startedMs: this.clock.now(), epoch: this.model.epoch, probe })
  }

  end(index: number, verdict: Verdict): void {
    const [attempt] = this.running.splice(index % Math.max(1, this.running.length), 1)
    if (attempt === undefined) return
    this.model.settle(attempt, verdict, this.clock.now())
    this.circuit.settle(attempt.permit, verdict, attempt.startedMs)
  }

  /** What is under way stays behind: its results never reach the other process. */
  move(ageMs: number): void {
    const snapshot = JSON.parse(JSON.stringify(this.circuit.snapshot())) as CircuitSnapshot
    this.circuit = this.#newCircuit()
    this.circuit.restore(snapshot, ageMs)
    const state = snapshot.state === 'half-open' ? 'open' : snapshot.state
    if (ageMs === 0) expect(this.circuit.snapshot()).toEqual({ ...snapshot, state })
    this.model.move(this.clock.now(), ageMs)
    this.running = []
  }

  #newCircuit(): Circuit {
    return new Circuit('key', {
      settings: { ...DEFAULTS.circuitBreaker, ...this.#rules, leaseMs: LEASE_MS },
      clock: this.clock,
      random: () => 0.5,
      onChange: (event) => this.seen.add('cause' in event ? event.cause : event.type),
      onProbeReturned: () => {},
    })
  }
}

const rules = fc.record<Rules>({
  consecutive: fc.oneof(fc.constant<false>(false), fc.integer({ min: 1, max: 6 })),
  slowCall: fc.oneof(
    fc.constant<false>(false),
    fc.record({ durationMs: fc.constant(SLOW_MS), rate: fc.constantFrom(0.3, 0.6, 1) }),
  ),
  halfOpenProbes: fc.integer({ min: 1, max: 4 }),
})

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
      durationMs: fc.constantFrom(0, SLOW_MS, SLOW_MS + 1),
      verdict,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('move' as const), ageMs: fc.constantFrom(0, 0, 2500, 40_000) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'isolate' as const }, { kind: 'reset' as const }) },
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function take(world: World, each: Step): Promise<void> {
  if (each.kind === 'start') world.start()
  else if (each.kind === 'end') world.end(each.index, each.verdict)
  else if (each.kind === 'pass') await world.clock.advance(each.ms)
  else if (each.kind === 'move') world.move(each.ageMs)
  else if (each.kind === 'whole') {
    for (let call = 0; call < each.count; call++) {
      const before = world.running.length
      world.start()
      await world.clock.advance(each.durationMs)
      if (world.running.length > before) world.end(before, each.verdict)
    }
  } else {
    world.model[each.kind]()
    world.circuit[each.kind]()
  }
}

test('agrees with a plain model of its definition over random sequences', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(rules, fc.array(step, { minLength: 20, maxLength: 120 }), async (by, steps) => {
      const world = new World(by, seen)
      for (const each of steps) {
        await take(world, each)
        world.model.look(world.clock.now())
        expect(world.circuit.state).toBe(world.model.state)
      }
    }),
    { numRuns: 300 },
  )
  // The sequences must have been worth it.
  expect([...seen].toSorted()).toEqual([
    'circuit-close',
    'circuit-half-open',
    'consecutive',
    'failure-rate',
    'isolated',
    'probe',
    'restored',
    'slow-calls',
  ])
}, 30_000)
