import { describe, expect, test } from 'vitest'
import { endless, faultServer, status } from '../../src/testing/index.ts'
import { root, run } from '../package/run.ts'

/** No process under test has anything to do for as long as this: one that reaches it is held by something. */
const KILL_AFTER_MS = 5000

/** Runs `script` in a process of its own, with the built package as `createFetch` and the server's URL as `url`. */
async function child(script: string, url = 'http://x.test/') {
  const program = `
    import { createFetch } from 'holdfast'
    const url = process.env.TARGET
    const active = () => console.log('active', ...process.getActiveResourcesInfo())
    process.on('exit', () => console.log('end'))
    ${script}
  `
  return run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    timeoutMs: KILL_AFTER_MS,
    env: { TARGET: url },
  })
}

const lines = (text: string): string[] => text.trim().split('\n')

test('a platform without performance and the newer members of AbortSignal is enough', async () => {
  const program = `
    new Response() // Node's own has to find them when it is loaded
    delete globalThis.performance
    delete AbortSignal.any
    delete AbortSignal.timeout
    delete AbortSignal.prototype.throwIfAborted
    const { createFetch } = await import('holdfast')
    let calls = 0
    const answer = async () => new Response('ok', { status: calls++ === 0 ? 503 : 200 })
    const fetch = createFetch({ fetch: answer, retry: { baseDelayMs: 1 } })
    const { signal } = new AbortController()
    console.log(await (await fetch('http://x.test/', { signal })).text(), calls)
    const controller = new AbortController()
    controller.abort('mine')
    console.log(await fetch('http://x.test/', { signal: controller.signal }).catch((reason) => reason))
  `
  const { stdout, output } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    timeoutMs: KILL_AFTER_MS,
  })
  expect(lines(stdout), output).toEqual(['ok 2', 'mine'])
})

describe('a process ends by itself', () => {
  test('after importing the package', async () => {
    const { status: code, stdout } = await child('active()')
    expect(code).toBe(0)
    expect(stdout).not.toContain('Timeout')
  })

  test('after a call that worked, with no timer left', async () => {
    await using server = await faultServer()
    const { status: code, stdout } = await child(
      `
        const response = await createFetch()(url)
        console.log(response.status, await response.text())
        active()
      `,
      server.url,
    )
    expect(code).toBe(0)
    expect(lines(stdout)[0]).toBe('200 {"ok":true}')
    expect(lines(stdout)[1]).toMatch(/^active/)
    expect(stdout).not.toContain('Timeout')
    expect(lines(stdout).at(-1)).toBe('end')
  })

  test('with a circuit open', async () => {
    await using server = await faultServer({ faults: () => status(503) })
    const { status: code, stdout } = await child(
      `
        const fetch = createFetch({ retry: false, circuitBreaker: { minimumCalls: 1, openMs: 60_000 } })
        await (await fetch(url)).text()
        const error = await fetch(url).catch((error) => error)
        console.log(error.code, [...fetch.circuits][0].state)
        active()
      `,
      server.url,
    )
    expect(code).toBe(0)
    expect(lines(stdout)[0]).toBe('ERR_CIRCUIT_OPEN open')
    expect(stdout).not.toContain('Timeout')
  })

  test('with timeouts pending and nothing else to do', async () => {
    const { status: code, stdout } = await child(`
      const fetch = createFetch({ fetch: () => new Promise(() => {}) })
      fetch(url).then(() => console.log('answered'), () => console.log('failed'))
      setImmediate(active)
    `)
    expect(code).toBe(0)
    expect(lines(stdout).at(-1)).toBe('end')
    expect(stdout).not.toMatch(/Timeout|answered|failed/)
  })

  test('with a body idle', async () => {
    const { status: code, stdout } = await child(`
      const fetch = createFetch({
        timeout: { bodyIdleMs: 60_000 },
        fetch: async () => new Response(new ReadableStream()),
      })
      fetch(url).then((response) => response.text())
      setImmediate(active)
    `)
    expect(code).toBe(0)
    expect(stdout).not.toContain('Timeout')
  })

  test('after an abort in the middle of a backoff', async () => {
    await using server = await faultServer({ faults: () => status(503) })
    const { status: code, stdout } = await child(
      `
        const controller = new AbortController()
        const onEvent = ({ type }) => type === 'retry' && setImmediate(() => controller.abort('mine'))
        const fetch = createFetch({ onEvent, retry: { baseDelayMs: 60_000, maxDelayMs: 60_000 } })
        fetch(url, { signal: controller.signal, holdfast: { timeout: false } }).catch((reason) => {
          console.log(reason)
          active()
        })
      `,
      server.url,
    )
    expect(code).toBe(0)
    expect(lines(stdout)[0]).toBe('mine')
    expect(stdout).not.toContain('Timeout')
  })
})

describe('a process stays', () => {
  test('while a call backs off, until it has ended', async () => {
    await using server = await faultServer({ faults: [endless({ status: 503, intervalMs: 5 })] })
    const { status: code, stdout } = await child(
      `
        const fetch = createFetch({ retry: { baseDelayMs: 200 } })
        fetch(url).then(async (response) => console.log(response.status, await response.text()))
      `,
      server.url,
    )
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(['200 {"ok":true}', 'end'])
    expect(server.requests).toHaveLength(2)
  })

  test('while a call is parked at an open circuit', async () => {
    const { status: code, stdout } = await child(`
      let calls = 0
      const fetch = createFetch({
        retry: false,
        circuitBreaker: { minimumCalls: 1, openMs: 200, whenOpen: 'wait' },
        fetch: async () => new Response('', { status: ++calls === 1 ? 503 : 200 }),
      })
      fetch(url).then(() => fetch(url)).then((response) => console.log(response.status))
    `)
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(['200', 'end'])
  })
})
