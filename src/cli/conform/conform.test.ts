import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listening } from '../../../test/support/listening.ts'
import { refusingPort } from '../../../test/support/refusing.ts'
import { serveFlawed } from '../../../test/conform/flawed.ts'
import { serve } from '../../../test/conform/serve.ts'
import { selfSigned } from '../../../test/support/self-signed.ts'
import { holdfast } from '../program.test-support.ts'

const timeout = 60_000
const quick = ['--delay-ms', '40'] as const

/** The fixture, which is not asked where an option is wrong. */
const NOBODY = 'http://127.0.0.1:1'

describe('what it says of itself', () => {
  test('help names every option, the fixture and the exit codes', async () => {
    const { code, stdout, stderr } = await holdfast('conform', '--help')
    expect(code).toBe(0)
    expect(stderr).toBe('')
    const options =
      'header principal required strict origin max-body-bytes delay-ms timeout-ms only json'.split(' ')
    for (const option of options) expect(stdout).toContain(`--${option}`)
    for (const expected of ['/__count', '/effects', 'Exit code: 0', '(default: 400)', 'Examples:']) {
      expect(stdout).toContain(expected)
    }
  })
})

describe('the report', { timeout }, () => {
  test.concurrent('an API that does all of what was asked ends with 0, and a table says so', async () => {
    await using api = await serveFlawed('none')
    const { code, stdout, stderr } = await holdfast('conform', api.url, '--only', 'D1,D5,D6', ...quick)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/D1 +MUST +a quoted string .+ ✔ pass/)
    expect(stdout).toMatch(/D6 .+ not black-box: takes a day/)
    expect(stdout).toContain(`✔ ${api.url} does what an API must: 2 passed, 0 failed`)
    expect(code).toBe(0)
  })

  test.concurrent('a MUST that fails ends with 1, and is told in detail', async () => {
    await using api = await serveFlawed('ignores the body')
    const { code, stdout } = await holdfast('conform', api.url, '--only', 'D5,P14', ...quick)
    expect(stdout).toMatch(/D5 MUST: sent POST .+; expected a 4xx, and no run; got 201/)
    expect(stdout).toMatch(/P14 .+ - D5 failed/)
    expect(stdout).toContain(`✘ ${api.url} does not do all that an API must: 0 passed, 1 failed, 1 not shown`)
    expect(code).toBe(1)
  })

  test.concurrent('a SHOULD that fails is a warning, a MAY is not offered, and both end with 0', async () => {
    await using api = await serveFlawed('compares bytes')
    const { code, stdout } = await holdfast('conform', api.url, '--only', 'P15', ...quick)
    expect(stdout).toMatch(/P15 +MAY .+ - not offered/)
    expect(code).toBe(0)
    await using other = await serveFlawed('marks the first answer')
    const warned = await holdfast('conform', other.url, '--only', 'D8', ...quick)
    expect(warned.stdout).toMatch(/D8 +SHOULD .+ ! warning/)
    expect(warned.code).toBe(0)
  })

  test.concurrent('--json prints one document, of fixed shape, and nothing else', async () => {
    await using api = await serveFlawed('ignores the body')
    const { code, stdout, stderr } = await holdfast(
      'conform',
      api.url,
      '--json',
      '--only',
      'D5,D6,D9',
      ...quick,
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({
      url: api.url,
      rows: [
        {
          id: 'D5',
          level: 'MUST',
          title: 'a key is not taken for another body',
          result: 'fail',
          detail: expect.stringContaining('expected a 4xx') as string,
        },
        { id: 'D9', level: 'SHOULD', title: expect.any(String) as string, result: 'pass' },
      ],
      notBlackBox: [{ id: 'D6', title: expect.any(String) as string, why: expect.any(String) as string }],
      summary: {
        passed: 1,
        failed: 1,
        blocked: 0,
        inconclusive: 0,
        warnings: 0,
        notOffered: 0,
        skipped: 0,
        notBlackBox: 1,
        conforms: false,
      },
    })
    expect(code).toBe(1)
  })
})

describe('where nothing can be run', () => {
  test('an API that does not answer ends with 2 and the remedy', async () => {
    const url = `http://127.0.0.1:${await refusingPort()}`
    const { code, stdout, stderr } = await holdfast('conform', url)
    expect(stderr).toBe(
      `holdfast: nobody answers at ${url} (ECONNREFUSED): start the API, or correct the URL\n`,
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test('an API whose certificate nobody has signed ends with 2 and the remedy', async () => {
    const server = await listening(createServer(selfSigned))
    onTestFinished(() => void server.close())
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, stderr } = await holdfast('conform', url)
    expect(stderr).toBe(
      `holdfast: the certificate of ${url} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): ` +
        "name its authority's file in NODE_EXTRA_CA_CERTS\n",
    )
    expect(code).toBe(2)
  })

  test('a server without the fixture ends with 2 and the remedy', async () => {
    await using other = await serve((_, response) => void response.writeHead(404).end('no'))
    const { code, stderr } = await holdfast('conform', other.url)
    expect(stderr).toMatch(/__count should answer a number, got 404 "no": serve the fixture of docs\/conform/)
    expect(code).toBe(2)
  })

  test('an API that takes requests and never answers ends with 2, as late as a row may', async () => {
    await using silent = await serve(() => {})
    const { code, stdout, stderr } = await holdfast('conform', silent.url, '--timeout-ms', '100')
    expect(stderr).toBe(
      `holdfast: nobody answers at ${silent.url} (nothing within 100 ms): start the API, or correct the URL\n`,
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test('an API whose handler never answers does, too', async () => {
    await using stuck = await serve((request, response) => {
      if (request.url === '/__count') response.end('0')
    })
    const { code, stderr } = await holdfast('conform', stuck.url, '--timeout-ms', '100')
    expect(stderr).toBe(
      `holdfast: POST ${stuck.url}/effects with a key had no answer within 100 ms: ` +
        'serve the fixture of docs/conform.md there\n',
    )
    expect(code).toBe(2)
  })

  test('so does one that stops counting', async () => {
    let asked = 0
    await using broken = await serve((_, response) => {
      response.writeHead(asked++ === 0 ? 200 : 500).end('0')
    })
    const { code, stderr } = await holdfast('conform', broken.url)
    expect(stderr).toBe('holdfast: GET __count answered 500: serve the fixture of docs/conform.md there\n')
    expect(code).toBe(2)
  })
})

test.each([
  [['conform'], "missing required argument 'url'"],
  [
    ['conform', 'localhost:3000'],
    'url should be an http: or https: URL without a query, got "localhost:3000"',
  ],
  [['conform', NOBODY, '--only', 'D5,X9'], 'only should be made of D1, D2'],
  [['conform', NOBODY, '--only', 'D5,X9'], 'got "X9"'],
  [
    ['conform', NOBODY, '--only', ''],
    'only should be at least one row that can be told from outside, got ""',
  ],
  [['conform', NOBODY, '--only', 'D6,P7'], 'got "D6,P7"'],
  [['conform', NOBODY, '--delay-ms', 'soon'], 'a whole number above 0, got "soon"; try 1000'],
  [['conform', NOBODY, '--timeout-ms', '0'], 'a whole number above 0, got "0"; try 1000'],
  [['conform', NOBODY, '--max-body-bytes', '1e6'], 'got "1e6"'],
  [
    ['conform', NOBODY, '--principal', 'x-client: a'],
    'principals should be the headers of two clients, got an array of 1',
  ],
  [
    ['conform', NOBODY, '--header', 'Content-Length: 5'],
    'headers should be without connection, content-length, idempotency-key, trailer, transfer-encoding, ' +
      'which each request sets itself, got "content-length"',
  ],
  [
    ['conform', NOBODY, '--principal', 'x-client: a', '--principal', 'idempotency-key: a'],
    'which each request sets itself, got "idempotency-key"',
  ],
  [['conform', NOBODY, '--quick'], "unknown option '--quick'"],
])('%j is a usage error that shows the value and a remedy', async (args, message) => {
  const { code, stdout, stderr } = await holdfast(...args)
  expect(stderr).toContain(message)
  expect([code, stdout]).toEqual([2, ''])
})

describe('secrets are never printed', { timeout }, () => {
  const secret = 's3cr3t-t0ken'

  test.each(['--header', '--principal'])('not by a %s that is none', async (option) => {
    const { code, stdout, stderr } = await holdfast('conform', NOBODY, option, `authorization ${secret}`)
    expect(stderr).toContain(
      `${option} should be a header, got 26 characters without a name and a colon; try 'authorization: Bearer abc'`,
    )
    expect(code).toBe(2)
    expect(stdout + stderr).not.toContain(secret)
  })

  test.each(['\u20AC', '\u0001'])('not by a header that can not be sent: %j', async (character) => {
    const line = `authorization: ${secret}${character}`
    const { code, stdout, stderr } = await holdfast('conform', NOBODY, '--header', line)
    expect(stderr).toBe(
      'holdfast: headers should be an object of header names and values that can be sent, got an object with authorization\n',
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test('not with a URL', async () => {
    const { code, stdout, stderr } = await holdfast('conform', `http://me:${secret}@127.0.0.1:1`)
    expect(stderr).toContain('url should be without a user and password, which go into headers')
    expect(code).toBe(2)
    expect(stdout + stderr).not.toContain(secret)
  })

  test('not by an API that repeats what it refuses', async () => {
    await using api = await serve((request, response) => {
      response.writeHead(401).end(`who is ${request.headers.authorization?.split(' ')[1]}?`)
    })
    const { code, stderr } = await holdfast('conform', api.url, '--header', `authorization: Bearer ${secret}`)
    expect(stderr).toContain('got 401 "who is [hidden]?"')
    expect(code).toBe(2)
  })

  test('and no order of an API to the terminal', async () => {
    await using api = await serve((_, response) => {
      response.writeHead(401, { 'content-type': 'text/plain\u009b2J' }).end()
    })
    const { stderr } = await holdfast('conform', api.url)
    expect(stderr).toContain(String.raw`got 401 text/plain\x9b2J`)
    expect(stderr).not.toContain('\u009b')
  })

  test.each([
    ['is long', `sk_live_${'abcdefghij'.repeat(9)}`],
    ['has to be escaped where it is quoted', String.raw`sk_live_"abc\def"`],
  ])('nor what is left of one in a message, where it %s', async (_, long) => {
    await using api = await serve((request, response) => {
      response.writeHead(401).end(`who is ${request.headers.authorization?.slice(7)}?`)
    })
    const { stderr } = await holdfast('conform', api.url, '--header', `authorization: Bearer ${long}`)
    expect(stderr).toContain('got 401 "who is [hidden]?"')
  })

  test.concurrent.each([[[]], [['--json']]])('not in a report, %j', async (flags) => {
    await using api = await serveFlawed('one scope for all clients')
    const clients = ['--principal', `x-client: ${secret}-1`, '--principal', `x-client: ${secret}-2`]
    const headers = ['--header', `authorization: Bearer ${secret}`]
    const { stdout } = await holdfast(
      'conform',
      api.url,
      '--only',
      'D17',
      ...quick,
      ...clients,
      ...headers,
      ...flags,
    )
    expect(stdout).toContain('client 2')
    expect(stdout).not.toContain(secret)
  })
})

test('headers are sent as they were given', async () => {
  const seen = new Set<string | undefined>()
  await using api = await serve((request, response) => {
    seen.add(request.headers.authorization)
    response.writeHead(404).end()
  })
  await holdfast('conform', api.url, '--header', 'Authorization: Bearer a:b')
  expect([...seen]).toEqual(['Bearer a:b'])
})
