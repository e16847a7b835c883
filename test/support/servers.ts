import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'

/**
 * Servers that tests need. One that is missing is a failure in CI; elsewhere its tests are left out, with a line that
 * says what is missing and how to get it.
 */

/** Why tests are left out. */
export const leftOut: string[] = []

/** Where a server is; `undefined` where there is none and its tests are to be left out. */
export async function urlOf(find: () => Promise<string>): Promise<string | undefined> {
  try {
    return await find()
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    const reason = error instanceof Error ? error.message : String(error)
    leftOut.push(reason)
    console.warn(`LEFT OUT: ${reason}`)
    return undefined
  }
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => void server.close(resolve))
  return port
}

/** Tells the server's id; ends it and removes its folder when whoever started it is gone, in whatever way. */
const GUARD = `folder=$1; signal=$2; shift 2; command -v "$1" > /dev/null || exit 127
"$@" > /dev/null & echo $!; cat; kill -$signal $!; kill -CONT $!; wait; rm -rf "$folder"`

export interface OwnServer {
  readonly command: readonly string[]
  /** What is the server's own and goes with it. */
  readonly folder: string
  /** What ends it at once, in good order. */
  readonly signal: 'TERM' | 'QUIT'
  readonly identity?: { readonly uid?: number; readonly gid?: number }
  readonly answers: () => Promise<boolean>
}

export interface OwnProcess {
  readonly signal: (signal: NodeJS.Signals) => void
  /** Ends it now, and removes its folder. */
  readonly end: () => void
}

/** Starts a server that ends with this process. Resolves when it answers. */
export async function startOwn(server: OwnServer): Promise<OwnProcess> {
  const { command, folder, signal, identity, answers } = server
  const guard = spawn('sh', ['-c', GUARD, 'sh', folder, signal, ...command], {
    ...identity,
    cwd: tmpdir(),
    // Of its own group, so that a signal to the tests leaves the clean-up alone.
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  guard.unref()
  // A pipe of Node is a socket.
  for (const pipe of [guard.stdin, guard.stdout]) (pipe as Socket).unref()
  let pid = 0
  guard.stdout.once('data', (line) => (pid = Number(line)))
  for (let tries = 0; tries < 400; tries++) {
    if (pid !== 0 && (await answers())) {
      return { signal: (name) => void process.kill(pid, name), end: () => guard.stdin.end() }
    }
    if (guard.exitCode !== null) throw new Error(`${command[0]} is not installed`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`${command[0]} did not start`)
}
