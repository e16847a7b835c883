import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { runCase, type Case, type CaseResult, type World } from '../cases/case.ts'
import { cases } from '../cases/index.ts'
import { isolationCases, type Ask, type IsolationCase } from '../cases/isolation.ts'
import type { SharedAnswer } from '../entries/worker.ts'
import { worldAt } from '../world.ts'
import { app, binaryOf, packageFor } from './registry.ts'
import type { Runtime, SuiteRun } from './runtime.ts'

/**
 * Today's rules, and those of before October 2024: there a promise that another request settles is an error, or hangs.
 */
const RULES = { today: '2026-10-01', before: '2024-09-01' }

export const workerd: Runtime = {
  name: 'workerd',
  title: 'workerd',
  required: true,
  async obtain() {
    const names = {
      'linux-x64': '@cloudflare/workerd-linux-64',
      'linux-arm64': '@cloudflare/workerd-linux-arm64',
      'darwin-x64': '@cloudflare/workerd-darwin-64',
      'darwin-arm64': '@cloudflare/workerd-darwin-arm64',
    }
    const spec = packageFor(names, '1.20261023.1')
    const binary = await binaryOf({ title: 'workerd', spec, binary: 'bin/workerd' })
    const { stdout } = await promisify(execFile)(binary, ['--version'])
    return {
      version: stdout.replace('workerd', '').trim(),
      total: cases.length + 2 * isolationCases.length,
      run: (suite) => runInWorker(binary, suite),
    }
  },
}

async function runInWorker(binary: string, suite: SuiteRun): Promise<void> {
  const config = join(app, 'workerd.capnp')
  writeFileSync(config, CONFIG)
  const child = spawn(binary, ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    signal: suite.signal,
    killSignal: 'SIGKILL',
  })
  child.on('error', () => {})
  const said = listen(child)
  try {
    const ports = await portsOf(child, suite.signal)
    for (const each of cases) suite.onResult(await caseInWorker(ports.today, each, suite))
    const world = worldAt(suite.origins, 'process')
    for (const rules of ['today', 'before'] as const) {
      for (const each of isolationCases) suite.onResult(await isolated(each, rules, ports[rules], world))
    }
    const crossed = /.*(?:on behalf of a different request|hung).*/.exec(said())?.[0]
    if (crossed !== undefined) throw new Error(crossed)
  } catch (error) {
    throw new Error(`${String(error)}\n${said().slice(0, 2000)}`, { cause: error })
  } finally {
    child.kill('SIGKILL')
  }
}

function listen(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += String(chunk)))
  return () => text
}

/** workerd tells of each socket that it has opened, in a line of JSON. */
async function portsOf(
  child: ChildProcess,
  signal: AbortSignal,
): Promise<Record<keyof typeof RULES, number>> {
  const ports: Partial<Record<string, number>> = {}
  for await (const line of createInterface({ input: child.stdio[3] as Readable, signal })) {
    const { socket, port } = JSON.parse(line) as { socket: string; port: number }
    ports[socket] = port
    const { today, before } = ports
    if (today !== undefined && before !== undefined) return { today, before }
  }
  throw new Error('workerd ended before it listened')
}

async function caseInWorker(port: number, { name }: Case, suite: SuiteRun): Promise<CaseResult> {
  const query = new URLSearchParams({ case: name, ...suite.origins })
  try {
    const response = await fetch(`http://127.0.0.1:${port}/case?${query}`, { signal: suite.signal })
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return (await response.json()) as CaseResult
  } catch (error) {
    return { name, result: 'failed', error: String(error) }
  }
}

/** Each has a client of its own in the worker, by its name. */
function isolated(
  each: IsolationCase,
  rules: keyof typeof RULES,
  port: number,
  world: World,
): Promise<CaseResult> {
  const name = `${each.name} (rules of ${RULES[rules]})`
  const ask: Ask = async (api, { signal, leaves = false } = {}) => {
    const options = JSON.stringify(each.options)
    const query = new URLSearchParams({ client: each.name, options, api: api.url })
    if (leaves) query.set('leaves', '')
    if (each.storeMs !== undefined) query.set('storeMs', `${each.storeMs}`)
    const response = await fetch(`http://127.0.0.1:${port}/shared?${query}`, signal && { signal })
    if (!response.ok) return { status: response.status, error: await response.text() }
    return (await response.json()) as SharedAnswer
  }
  return runCase({ name, run: () => each.run(ask, world) }, world)
}

const worker = (name: keyof typeof RULES): string => `
    (name = "${name}", worker = (
      modules = [(name = "worker", esModule = embed "worker.js")],
      compatibilityDate = "${RULES[name]}",
      globalOutbound = "loopback"))`

const socket = (name: string): string =>
  `(name = "${name}", address = "127.0.0.1:0", http = (), service = "${name}")`

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "loopback", network = (allow = ["private", "public"])),${worker('today')},${worker('before')}
  ],
  sockets = [${socket('today')}, ${socket('before')}]
);
`
