import { Api } from './api.ts'
import { describe, isSuccess, textOf } from './exchange.ts'
import type { Settings } from './options.ts'
import { ConformanceSetupError } from './failure.ts'

/**
 * Whether there is anything to test: somebody answers, with the fixture, and takes a key.
 *
 * @returns How the API takes keys: quoted, or bare where it refuses that.
 * @throws ConformanceSetupError with the remedy.
 */
export async function probe(settings: Settings): Promise<{ readonly bareKeys: boolean }> {
  const { signal } = new AbortController()
  const api = new Api(settings, signal, false)
  await checkCount(api)
  const quoted = await runsOnce(api, api.newKey())
  if (quoted === undefined) return { bareKeys: false }
  if ((await runsOnce(api, crypto.randomUUID())) === undefined) return { bareKeys: true }
  throw new ConformanceSetupError(
    `POST ${settings.url}/effects with a key should run once and answer "run=<n>", got ${quoted}: ` +
      'serve the fixture of docs/conform.md there, and pass credentials with --header',
  )
}

async function checkCount(api: Api): Promise<void> {
  const { url } = api.settings
  const reply = await api.askForCount()
  if (reply.status === 0) {
    throw new ConformanceSetupError(
      `nobody answers at ${url} (${reply.error}): start the API, or correct the URL`,
    )
  }
  if (reply.status === 200 && /^\d+$/.test(textOf(reply))) return
  throw new ConformanceSetupError(
    `GET ${url}/__count should answer a number, got ${describe(reply)}: serve the fixture of docs/conform.md there`,
  )
}

/** What is wrong with the answer, `undefined` where nothing is. */
async function runsOnce(api: Api, key: string): Promise<string | undefined> {
  const { value: reply, runs } = await api.counting(() => api.send({ key, body: {} }))
  const isRun = isSuccess(reply) && runs === 1 && textOf(reply) === `run=${await api.count()}`
  return isRun ? undefined : `${describe(reply)} and ${runs} runs`
}
