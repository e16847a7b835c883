/**
 * Makes every `fetch` of a process resilient, that of any SDK included:
 * `node --import holdfast/register app.js`.
 *
 * @module
 */
import { registeredFetch } from './register.ts'

/** Also where two copies of the package, or `--import` and `require`, meet in one process. */
const MARK = Symbol.for('holdfast.register')

if (!Reflect.has(globalThis, MARK)) {
  Reflect.set(globalThis, MARK, true)
  const fetch = registeredFetch({
    environment: process.env,
    folder: process.cwd(),
    onExit: (report) => process.once('exit', () => process.stderr.write(report())),
  })
  if (fetch !== undefined) globalThis.fetch = fetch
}

export { REGISTER_DEFAULTS, type RegisterConfig } from './config.ts'
