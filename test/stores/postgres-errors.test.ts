/** What the errors of the Postgres store tell whoever logs them: what went wrong, and nothing that was stored. */
import { inspect } from 'node:util'
import postgres from 'postgres'
import { afterAll, describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf, type IdempotencyEvent } from '../../src/idempotency/index.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { postgresUrl, run, terminate } from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import { backend, bench, type Bench, clients, columnOf, releaseShared } from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

const RESPONSE = 'secret response'
const SECRETS = [
  'secret',
  Buffer.from(RESPONSE).toString('hex'),
  // Whatever comes before it, Base64 has it in one of three forms; without the first and last characters.
  ...[0, 1, 2].map((before) =>
    Buffer.from(' '.repeat(before) + RESPONSE)
      .toString('base64')
      .slice(4, -4),
  ),
]

/** All there is, as somebody sees it who logs everything. */
const shown = (error: unknown): string =>
  inspect(error, { depth: Infinity, showHidden: true, maxStringLength: null })

function expectNoSecret(errors: unknown): void {
  for (const secret of SECRETS) expect(shown(errors)).not.toContain(secret)
}

/** Why a table refuses a response. */
const reasons: readonly { reason: string; sql: string; says: string }[] = [
  { reason: 'a column is missing', sql: 'ALTER TABLE KEYS RENAME response TO gone', says: 'does not exist' },
  {
    reason: 'a row is refused',
    sql: 'ALTER TABLE KEYS ADD CHECK (response IS NULL)',
    says: 'violates check constraint',
  },
]

describe.skipIf(url === undefined).each(clients)('an error of the store through $client', ({ connect }) => {
  // A server that writes into its log the values of statements that fail tells the client, too.
  const settings = { log_parameter_max_length_on_error: '-1' }

  async function failing(
    during: (subject: Bench, client: unknown) => Promise<unknown>,
    transactional: boolean,
  ) {
    const subject = await bench(connect, { settings, ownSchema: true })
    const errors: unknown[] = []
    const onEvent = (event: IdempotencyEvent): void => {
      if (event.type === 'store-error') errors.push(event.error)
    }
    const scope = (): string => 'secret scope'
    const options = { store: subject.store, storeTimeoutMs: 500, scope, onEvent }
    const handler = idempotency(options)(async (request) => {
      const respond = async (client: unknown): Promise<Response> => {
        await during(subject, client)
        return new Response(RESPONSE)
      }
      return transactional ? idempotencyOf(request).transaction(respond) : respond(subject.pool)
    })
    const headers = { 'idempotency-key': 'secret-key' }
    await handler(new Request('https://a.test/', { method: 'POST', headers }))
    expect(errors.length).toBeGreaterThan(0)
    return errors
  }

  test.each(
    reasons.flatMap((each) => [
      { ...each, where: 'outside of a transaction', transactional: false },
      { ...each, where: 'in a transaction', transactional: true },
    ]),
  )('says that $reason $where, and nothing of what was stored', async ({ sql, says, transactional }) => {
    const errors = await failing(
      (subject, client) => (transactional ? changeIn(client, subject, sql) : columnOf(subject, sql)),
      transactional,
    )
    expect(errors.map(String).join()).toContain(says)
    expectNoSecret(errors)
  })

  test('says that its connection broke, and nothing of what was stored', async () => {
    const errors = await failing(async (_, client) => terminate(await backend(client)), true)
    expect(shown(errors)).toMatch(/terminat|CONNECTION_/)
    expectNoSecret(errors)
  })

  test('keeps its class, its code and where it came from', async () => {
    const [error] = await failing((subject) => columnOf(subject, reasons[0]?.sql ?? ''), false)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code: '42703', severity: 'ERROR' })
    if (connect === clients[1]?.connect) expect(error).toBeInstanceOf(postgres.PostgresError)
    expect((error as Error).stack).toMatch(/does not exist[^]*postgres-store|does not exist[^]*node_modules/)
  })
})

const changeIn = (client: unknown, { schema }: Bench, sql: string): Promise<unknown> =>
  run(client, sql.replaceAll('KEYS', `"${schema}".holdfast_keys`))
