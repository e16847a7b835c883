/**
 * Makes every `fetch` of a process resilient, that of any SDK included:
 * `node --import holdfast/register app.js`.
 *
 * @module
 */
import { registeredFetch } from './register.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A signal that nobody else listens to ends a process, most servers among them, without an `exit`. */
function atTheEnd(tell: () => void): void {
  process.once('exit', tell)
  for (const signal of SIGNALS) {
    const onSignal = (): void => {
      if (process.listenerCount(signal) > 1) return
      tell()
      process.off('exit', tell).off(signal, onSignal).kill(process.pid, signal)
    }
    process.on(signal, onSignal)
  }
}

/** Also where two copies of the package, or `--import` and `require`, meet in one process. */
const MARK = Symbol.for('holdfast.register')

if (!Reflect.has(globalThis, MARK)) {
  Reflect.set(globalThis, MARK, true)
  const fetch = registeredFetch({
    environment: process.env,
    folder: process.cwd(),
    onExit: (report) => atTheEnd(() => process.stderr.write(report())),
  })
  if (fetch !== undefined) globalThis.fetch = fetch
}

export { REGISTER_DEFAULTS, type RegisterConfig } from './config.ts'
