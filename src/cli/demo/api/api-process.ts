import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ApiMessage } from './serve.ts'

/** The orders API in a process of its own. */
export interface ApiProcess {
  readonly url: string
  /** How many rows each order has in the database. */
  rows(): Promise<ReadonlyMap<number, number>>
  stop(): Promise<void>
}

/** The same file as TypeScript in the sources and as JavaScript in the package. */
const ENTRY = fileURLToPath(new URL(`./serve${extname(import.meta.url)}`, import.meta.url))

/** @throws when the API can't start: there is no SQLite, for one. */
export async function startApi(databasePath: string): Promise<ApiProcess> {
  const child = fork(ENTRY, [databasePath], {
    // Node 22 calls its SQLite experimental on every start, in the middle of the progress.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  try {
    const url = await ready(child)
    return { url, rows: () => readRows(url), stop: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw error
  }
}

function ready(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(new Error(`the orders API ended before it was ready (exit code ${code})`)),
    )
    child.once('message', (message: ApiMessage) => {
      if (message.type === 'ready') resolve(message.url)
      else reject(new Error(message.reason))
    })
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}

async function readRows(url: string): Promise<Map<number, number>> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`the orders API can't count its rows: it answers ${response.status}`)
  const rows = (await response.json()) as { number: number; rows: number }[]
  return new Map(rows.map(({ number, rows: count }) => [number, count]))
}
