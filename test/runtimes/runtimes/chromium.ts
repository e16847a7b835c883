import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startBackend } from '../backend.ts'
import type { CaseResult } from '../cases/case.ts'
import { corsCases } from '../cases/cors.ts'
import { cases } from '../cases/index.ts'
import { app } from './registry.ts'
import { MissingRuntime, type Runtime, type SuiteRun } from './runtime.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

export const chromium: Runtime = {
  name: 'chromium',
  title: 'Chromium',
  required: true,
  async obtain() {
    const named = process.env['CHROMIUM']
    for (const program of named === undefined ? NAMES : [named]) {
      const version = await versionOf(program)
      if (version === undefined) continue
      const total = cases.length + corsCases.length
      return { version, total, run: (suite) => runInPage(program, suite) }
    }
    throw new MissingRuntime(
      named === undefined
        ? 'Chromium is missing: apt-get install -y --no-install-recommends chromium, or name another one by CHROMIUM=/path'
        : `Chromium is missing: CHROMIUM names "${named}", which does not run`,
    )
  },
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'])
    return /\d+(?:\.\d+)+/.exec(stdout)?.[0]
  } catch {
    return undefined
  }
}

/** What the page tells: a result, the end, or what went wrong outside of the cases. */
type Told = CaseResult | { readonly end: true } | { readonly failure: string }

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>holdfast</title><script type="module" src="/page.js"></script>'

const FLAGS = [
  '--headless=new',
  // Of CI's root user; the page is our own.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-sync',
  '--disable-background-networking',
  '--disable-component-update',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
]

/** The page comes from the backend that it asks: that one is its own origin, every other one is foreign. */
async function runInPage(program: string, { origins, onResult, signal }: SuiteRun): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'))
  let onTold: (told: Told) => void = () => {}
  const backend = await startBackend({
    pages: {
      '/page': () => new Response(PAGE, { headers: { 'content-type': 'text/html' } }),
      '/page.js': () =>
        new Response(readFileSync(join(app, 'page.js')), { headers: { 'content-type': 'text/javascript' } }),
      '/results': async (request) => {
        onTold(JSON.parse(await request.text()) as Told)
        return new Response(null, { status: 204 })
      },
    },
  })
  const url = `${backend.url}/page?foreign=${encodeURIComponent(origins.foreign)}`
  const browser = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, url], {
    stdio: 'ignore',
    // A group of its own: a browser is many processes.
    detached: true,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      onTold = (told) => {
        if ('name' in told) onResult(told)
        else if ('end' in told) resolve()
        else reject(new Error(told.failure))
      }
      browser.once('error', reject).once('exit', (code) => reject(new Error(`it ended with ${code}`)))
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  } finally {
    await endGroup(browser)
    await backend.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

async function endGroup(browser: ChildProcess): Promise<void> {
  if (browser.pid === undefined || browser.exitCode !== null) return
  const ended = new Promise((resolve) => browser.once('exit', resolve))
  process.kill(-browser.pid, 'SIGKILL')
  await ended
}
