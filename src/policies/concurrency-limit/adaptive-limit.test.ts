import { describe, expect, test } from 'vitest'
import { DEFAULTS } from '../../primitives/defaults.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { AdaptiveLimit, type AdaptiveLimitSettings, type Ended } from './adaptive-limit.ts'

const SERVICE_MS = 50

/** A limit, and a service whose latency grows with the queue as soon as more run than it has workers. */
function bench(settings: Partial<AdaptiveLimitSettings> = {}) {
  let nowMs = 0
  const limit = new AdaptiveLimit(
    { ...DEFAULTS.concurrencyLimit, ...settings },
    { ...virtualClock(), now: () => nowMs },
  )
  const one = (running: number, latencyMs: number, ended: Ended = 'measured'): void => {
    const started = limit.start(running)
    nowMs += latencyMs
    limit.end(started, ended)
  }
  /** Executions of which `running` run at once. */
  const run = (count: number, running: number, latencyMs = SERVICE_MS, ended?: Ended): void => {
    for (let done = 0; done < count; done++) one(running, latencyMs, ended)
  }
  /** As many at once as may, at a service of so many workers. @returns the average limit of the second half */
  const saturate = (count: number, workers: number, serviceMs = SERVICE_MS): number => {
    const limits: number[] = []
    for (let done = 0; done < count; done++) {
      one(limit.limit, serviceMs * Math.max(1, limit.limit / workers))
      limits.push(limit.limit)
    }
    return average(limits.slice(count / 2))
  }
  return { limit, run, saturate }
}

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** What the limit tends to: the tolerated latency, and a queue of its square root. */
const expectedFor = (workers: number): number => {
  const tolerated = workers * DEFAULTS.concurrencyLimit.tolerance
  return tolerated + Math.sqrt(tolerated)
}

/** Gradient2 as its authors publish it, in so far as this simulation needs it: to compare. */
function gradient2(initialLimit: number) {
  let [limit, longMs] = [initialLimit, 0]
  return {
    limit: () => Math.floor(limit),
    sample(latencyMs: number): void {
      longMs = longMs === 0 ? latencyMs : longMs + ((latencyMs - longMs) * 2) / 601
      if (longMs / latencyMs > 2) longMs *= 0.95
      const gradient = Math.max(0.5, Math.min(1, (1.5 * longMs) / latencyMs))
      limit = limit * 0.8 + (limit * gradient + 4) * 0.2
    },
  }
}

describe('AdaptiveLimit', () => {
  test.each([10, 20, 40, 100])('tends to what a service of %d workers can bear', (workers) => {
    const limit = bench().saturate(20_000, workers)
    expect(limit).toBeGreaterThan(workers)
    expect(limit).toBeLessThan(expectedFor(workers) * 1.1)
  })

  test('does not follow the queue under lasting load, as an average of everything does', () => {
    const workers = 20
    const other = gradient2(DEFAULTS.concurrencyLimit.initialLimit)
    for (let done = 0; done < 20_000; done++) other.sample(SERVICE_MS * Math.max(1, other.limit() / workers))
    const ours = bench({ maxLimit: 1_000_000 }).saturate(20_000, workers)
    expect(ours).toBeLessThan(2 * workers)
    expect(other.limit()).toBeGreaterThan(10 * workers)
  })

  test('falls when the service loses workers, and rises when it has them back', () => {
    const { saturate } = bench()
    const before = saturate(10_000, 40)
    const during = saturate(10_000, 10)
    const after = saturate(10_000, 40)
    expect(during).toBeLessThan(expectedFor(10) * 1.1)
    expect(during).toBeGreaterThan(10)
    expect(Math.abs(after - before) / before).toBeLessThan(0.1)
  })

  test('learns that the service has become slower, and is back at the limit of before', () => {
    const { saturate } = bench()
    const before = saturate(10_000, 40)
    const slower = saturate(10_000, 40, 4 * SERVICE_MS)
    expect(Math.abs(slower - before) / before).toBeLessThan(0.1)
  })

  test('probes soon when everything takes far longer, before the limit has gone', () => {
    const { limit, saturate } = bench()
    const before = saturate(10_000, 40)
    const limits = Array.from({ length: 10 }, () => (saturate(100, 40, 8 * SERVICE_MS), limit.limit))
    expect(Math.min(...limits)).toBeGreaterThan(before / 4)
  })

  test('an initial limit far beyond the capacity comes down in time', () => {
    expect(bench({ initialLimit: 200 }).saturate(200_000, 20)).toBeLessThan(expectedFor(20) * 1.1)
  })

  test('stays while the limit is not reached, however long', () => {
    const { limit, run } = bench()
    for (const running of [1, 5, 10, 15, 19]) run(5000, running)
    expect(limit.limit).toBe(DEFAULTS.concurrencyLimit.initialLimit)
  })

  test('stays while less than half is in use, also when the service becomes slow', () => {
    const { limit, run } = bench()
    run(100, 10)
    run(1000, 10, 100 * SERVICE_MS)
    expect(limit.limit).toBe(DEFAULTS.concurrencyLimit.initialLimit)
  })

  test('grows by at most half its square root a window, shrinks to three quarters at most', () => {
    const { limit, run } = bench({ initialLimit: 100 })
    run(100, 50)
    run(100, 100)
    expect(limit.limit).toBe(105)
    run(105, 105, 100 * SERVICE_MS)
    expect(limit.limit).toBeGreaterThanOrEqual(Math.floor(105 * 0.75))
    expect(limit.limit).toBeLessThan(105)
  })

  test('a latency within the tolerance is no reason to shrink', () => {
    const { limit, run } = bench({ initialLimit: 40 })
    run(40, 20)
    run(40, 30, SERVICE_MS * DEFAULTS.concurrencyLimit.tolerance)
    expect(limit.limit).toBe(40)
    run(40, 30, SERVICE_MS * DEFAULTS.concurrencyLimit.tolerance * 1.2)
    expect(limit.limit).toBeLessThan(40)
  })

  test.each([
    [0.5, 87],
    [1, 75],
  ])('a share of %d cut off shrinks it by as much as that share is, once a window', (share, expected) => {
    const { limit, run } = bench({ initialLimit: 100 })
    run(100 * (1 - share), 50)
    run(100 * share, 50, SERVICE_MS, 'overloaded')
    expect(limit.limit).toBe(expected)
  })

  test('never leaves its bounds', () => {
    const low = bench({ minLimit: 5 })
    low.run(5000, 20, SERVICE_MS, 'overloaded')
    expect(low.limit.limit).toBe(5)
    const high = bench({ maxLimit: 50 })
    for (let window = 0; window < 200; window++) high.run(50, high.limit.limit)
    expect(high.limit.limit).toBe(50)
  })

  test('probes with half of the limit, only while that is in use, and not below the minimum', () => {
    const seen = (minLimit: number, running: (limit: number) => number): number[] => {
      const { limit, run } = bench({ initialLimit: 40, maxLimit: 40, minLimit })
      return Array.from({ length: 1000 }, () => (run(1, running(limit.limit)), limit.limit))
    }
    expect(Math.min(...seen(1, (limit) => limit))).toBe(20)
    expect(Math.min(...seen(30, (limit) => limit))).toBe(30)
    expect(new Set(seen(1, () => 39))).toEqual(new Set([40]))
  })

  test('probes cost little: most windows have the whole limit', () => {
    const { limit, run } = bench({ initialLimit: 40, maxLimit: 40 })
    const limits = Array.from({ length: 10_000 }, () => (run(1, limit.limit), limit.limit))
    expect(limits.filter((each) => each < 40).length / limits.length).toBeLessThan(0.05)
  })

  describe('from one probe to the next', () => {
    /** How many executions at the whole limit of 40 go before each probe. */
    const between = (probe: { latencyMs?: number; ended?: Ended }): number[] => {
      const { limit, run } = bench({ initialLimit: 40, maxLimit: 40 })
      const executions = [0]
      let wasProbe = false
      for (let done = 0; done < 2500; done++) {
        const isProbe = limit.limit <= 20
        if (!isProbe) executions[executions.length - 1] = (executions.at(-1) ?? 0) + 1
        else if (!wasProbe) executions.push(0)
        wasProbe = isProbe
        if (isProbe) run(1, limit.limit, probe.latencyMs, probe.ended)
        else run(1, limit.limit)
      }
      return executions.slice(0, -1)
    }

    test('there are twenty windows, five at first', () => {
      expect(between({})).toEqual([5 * 40, 20 * 40, 20 * 40])
    })

    test('there are five while it shows another latency than was known', () => {
      expect(between({ latencyMs: 2 * SERVICE_MS }).slice(0, 2)).toEqual([5 * 40, 5 * 40])
    })

    test('there are five after one that was cut off as a whole', () => {
      expect(Math.max(...between({ ended: 'overloaded' }))).toBeLessThanOrEqual(5 * 40)
    })
  })

  test('a client that has never seen the service unloaded goes by its first window', () => {
    const { limit, run } = bench({ initialLimit: 40 })
    run(40, 30)
    run(40, 30, 4 * SERVICE_MS)
    expect(limit.limit).toBe(30)
  })

  test('a loaded service that is much faster than the unloaded one was corrects what is known', () => {
    const { limit, run } = bench({ initialLimit: 40 })
    run(40, 20, 10 * SERVICE_MS)
    run(5 * 40, 30)
    expect(limit.limit).toBe(40)
    run(40, 30, 4 * SERVICE_MS)
    expect(limit.limit).toBeLessThan(40)
  })

  test.each([10, 30])('a window of which nothing was measured teaches no latency (%d at once)', (running) => {
    const { limit, run } = bench({ initialLimit: 40 })
    run(40, running, SERVICE_MS, 'overloaded')
    expect(limit.limit).toBe(30)
    run(30, 10)
    run(30, 20, SERVICE_MS, 'overloaded')
    expect(limit.limit).toBe(22)
    run(22, 5)
    run(22, 15)
    expect(limit.limit).toBe(22)
  })

  test('what began in an earlier window does not count', () => {
    const { limit, run } = bench({ initialLimit: 40 })
    const old = Array.from({ length: 40 }, () => limit.start(20))
    run(40, 20)
    for (const each of old) limit.end(each, 'overloaded')
    run(39, 20)
    expect(limit.limit).toBe(40)
  })

  test('a clock that shows whole milliseconds does not make a fast service look loaded', () => {
    const { limit, run } = bench({ initialLimit: 40 })
    run(40, 20, 0)
    for (let window = 0; window < 10; window++) {
      run(39, 30, 0)
      run(1, 30, 1)
    }
    expect(limit.limit).toBe(40)
  })
})
