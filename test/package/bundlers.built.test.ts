import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild-wasm'
import { rolldown } from 'rolldown'
import { expect, onTestFinished, test } from 'vitest'
import webpack from 'webpack'
import type * as holdfast from '../../src/index.ts'
import { root } from './run.ts'

/** An application for browsers, with a part that is loaded when it is needed. */
const application = `
import { createFetch } from 'holdfast'
export const fetchBy = (options) => createFetch({ bulkhead: {}, ...options })
`

interface Application {
  readonly fetchBy: typeof holdfast.createFetch
}

/** Bundles `entry` into `app.js` of the folder `out`, and says what it has complained of. */
type Bundler = (entry: string, out: string) => Promise<readonly string[]>

const byEsbuild: Bundler = async (entry, out) => {
  const { warnings } = await build({
    entryPoints: { app: entry },
    outdir: out,
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    logLevel: 'silent',
  })
  return warnings.map(({ text }) => text)
}

const byWebpack: Bundler = (entry, out) =>
  new Promise((resolve, reject) => {
    webpack(
      {
        mode: 'production',
        target: ['web', 'es2022'],
        entry: { app: entry },
        experiments: { outputModule: true },
        output: {
          path: out,
          filename: '[name].js',
          library: { type: 'module' },
          chunkFormat: 'module',
          chunkLoading: 'import',
        },
      },
      (error, stats) => {
        if (error) return reject(error)
        const { errors = [], warnings = [] } =
          stats?.toJson({ all: false, errors: true, warnings: true }) ?? {}
        resolve([...errors, ...warnings].map(({ message }) => message))
      },
    )
  })

const byRolldown: Bundler = async (entry, out) => {
  const complaints: string[] = []
  const bundle = await rolldown({
    input: { app: entry },
    platform: 'browser',
    onLog: (_level, { message }) => void complaints.push(message),
  })
  await bundle.write({ dir: out, format: 'esm', minify: true })
  await bundle.close()
  return complaints
}

/** What is sent in all, each file compressed by itself. */
function sizesOf(out: string): string {
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  const bytesOf = (names: readonly string[]): number =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(join(out, name)), { level: 9 }).length, 0)
  const inKB = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`
  return `${inKB(bytesOf(files))} minified and compressed, in ${files.length} files`
}

test.each([
  ['esbuild', byEsbuild],
  ['webpack', byWebpack],
  ['rolldown', byRolldown],
])('%s makes an application for browsers that retries', async (name, bundle) => {
  // Inside, where bundlers find the package by its name; a fresh clone has no such folder.
  const cache = join(root, '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'bundlers-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const entry = join(folder, 'entry.js')
  const out = join(folder, 'out')
  writeFileSync(entry, application)
  expect(await bundle(entry, out)).toEqual([])
  console.log(`${name}: ${sizesOf(out)}`)
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }')

  const { fetchBy } = (await import(pathToFileURL(join(out, 'app.js')).href)) as Application
  const answers = [503, 201]
  const sent: RequestInit[] = []
  const fetch = fetchBy({
    retry: { baseDelayMs: 1 },
    fetch: async (_input, init = {}) => {
      sent.push(init)
      return new Response(null, { status: answers.shift() ?? 200 })
    },
  })
  const response = await fetch('http://x.test/', { method: 'POST', body: '{}' })
  expect(response.status).toBe(201)
  const keys = sent.map(({ headers }) => new Headers(headers).get('idempotency-key'))
  expect(keys).toEqual([expect.any(String), keys[0]])
})
