import { systemClock, type Clock } from '../../clock.ts'

/**
 * Real time, `factor` times as fast: a second of this clock is a twentieth of a real one at 20. Policies that run on it
 * keep their settings, and wait accordingly less.
 */
export function scaledClock(factor: number, base: Clock = systemClock): Clock {
  const startMs = base.now()
  const wallStartMs = base.wallNow()
  return {
    now: () => startMs + (base.now() - startMs) * factor,
    wallNow: () => wallStartMs + (base.wallNow() - wallStartMs) * factor,
    schedule: (callback, delayMs, options) => base.schedule(callback, delayMs / factor, options),
  }
}
