import { execFile, type ExecFileException } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The folder with the package.json. */
export const root: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

export interface Finished {
  /** The exit code, or the name of the signal that ended it. */
  readonly status: number | string
  /** Both streams, as they came. */
  readonly output: string
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly cwd?: string
  readonly timeoutMs?: number
  readonly env?: NodeJS.ProcessEnv
}

/** Runs a program to its end, whatever that is. It is killed when its time is up. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { cwd = root, timeoutMs = 60_000, env = {} } = options
  const settings = { cwd, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 32 * 1024 * 1024 } as const
  return new Promise((resolve) => {
    execFile(program, args, { ...settings, env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ status: statusOf(error), output: `${stdout}${stderr}`, stdout, stderr }),
    ).stdin?.end()
  })
}

function statusOf(error: ExecFileException | null): number | string {
  if (!error) return 0
  if (error.killed) return `${error.signal ?? 'killed'} (its time was up)`
  return error.code ?? error.signal ?? 1
}

/** The compiler that this repository builds with. */
export const tsc: string = `${root}/node_modules/typescript/bin/tsc`
