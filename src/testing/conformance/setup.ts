import { systemClock } from '../../primitives/clock.ts'
import { Api } from './api.ts'
import { describe, isSuccess, textOf } from './exchange.ts'
import type { Settings } from './options.ts'
import { ConformanceSetupError, Failed } from './failure.ts'

/**
 * Whether there is anything to test: somebody answers, with the fixture, and takes a key. It may take as long as a row.
 *
 * @returns How the API takes keys: quoted, or bare where it refuses that.
 * @throws ConformanceSetupError with the remedy.
 */
export async function probe(settings: Settings): Promise<{ readonly bareKeys: boolean }> {
  const controller = new AbortController()
  const timer = systemClock.schedule(() => controller.abort(), settings.timeoutMs, { keepAlive: true })
  const api = new Api(settings, controller.signal, false)
  try {
    await checkCount(api)
    return await checkEffects(api)
  } catch (error) {
    if (!(error instanceof Failed)) throw error
    const { url, timeoutMs } = settings
    const what = controller.signal.aborted
      ? `POST ${url}/effects with a key had no answer within ${timeoutMs} ms`
      : error.message
    throw new ConformanceSetupError(`${what}: serve the fixture of docs/conform.md there`, { cause: error })
  } finally {
    timer.cancel()
  }
}

async function checkEffects(api: Api): Promise<{ readonly bareKeys: boolean }> {
  const quoted = await runsOnce(api, api.newKey())
  if (quoted === undefined) return { bareKeys: false }
  if ((await runsOnce(api, crypto.randomUUID())) === undefined) return { bareKeys: true }
  throw new ConformanceSetupError(
    `POST ${api.settings.url}/effects with a key should run once and answer "run=<n>", got ${quoted}: ` +
      'serve the fixture of docs/conform.md there, and pass credentials with --header',
  )
}

async function checkCount(api: Api): Promise<void> {
  const { url, timeoutMs } = api.settings
  const reply = await api.askForCount()
  if (reply.status === 0) {
    const why = api.signal.aborted ? `nothing within ${timeoutMs} ms` : String(reply.error)
    throw new ConformanceSetupError(
      isMistrust(why)
        ? `the certificate of ${url} is not trusted (${why}): name its authority's file in NODE_EXTRA_CA_CERTS`
        : `nobody answers at ${url} (${why}): start the API, or correct the URL`,
    )
  }
  if (reply.status === 200 && /^\d+$/.test(textOf(reply))) return
  throw new ConformanceSetupError(
    `GET ${url}/__count should answer a number, got ${describe(reply)}: serve the fixture of docs/conform.md there`,
  )
}

/** Codes of OpenSSL and of Node: SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_VERIFY_LEAF_SIGNATURE, ERR_TLS_CERT_ALTNAME_INVALID. */
const isMistrust = (code: string): boolean => /CERT|VERIFY/.test(code)

/** What is wrong with the answer, `undefined` where nothing is. */
async function runsOnce(api: Api, key: string): Promise<string | undefined> {
  const { value: reply, runs } = await api.counting(() => api.send({ key, body: {} }))
  const isRun = isSuccess(reply) && runs === 1 && textOf(reply) === `run=${await api.count()}`
  return isRun ? undefined : `${describe(reply)} and ${runs} runs`
}
