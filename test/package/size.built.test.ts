import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown, type OutputChunk } from 'rolldown'
import { expect, onTestFinished, test } from 'vitest'
import type * as holdfast from '../../src/index.ts'
import { root } from './run.ts'

/** Where it shall go, and what it may not pass meanwhile. */
const targetBytes = 7 * 1024
const limitBytes = 19.85 * 1024

interface Bundle {
  /** What is loaded at once. */
  readonly initial: readonly OutputChunk[]
  /** The same, and what is loaded when a call needs it. */
  readonly everything: readonly OutputChunk[]
}

/** What an application's bundle has of `name`, with everything it reaches: minified, for browsers. */
async function bundled(name: string): Promise<Bundle> {
  const entry = 'virtual:entry'
  const bundle = await rolldown({
    input: { entry },
    platform: 'browser',
    // An application's own entry is imported by nobody, so shared code can stand in it.
    preserveEntrySignatures: 'allow-extension',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? `export { ${name} } from '${join(root, 'dist/index.js')}'` : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ minify: true, format: 'esm', entryFileNames: '[name].js' })
  await bundle.close()
  const everything = output.filter((file) => file.type === 'chunk')
  const initial = new Set(everything.filter(({ isEntry }) => isEntry))
  // A set iterates over what is added to it meanwhile.
  for (const { imports } of initial)
    for (const each of imports)
      initial.add(everything.find(({ fileName }) => fileName === each) ?? outside(each))
  return { initial: [...initial], everything }
}

function outside(name: string): never {
  throw new Error(`the bundle imports ${name}, which is not in it`)
}

/** As one file: how bundlers cut it differs. */
const bytesOf = (chunks: readonly OutputChunk[]): number =>
  compressed(chunks.map(({ code }) => code).join('\n'))

/** As the files that were made of it, each compressed by itself: what is sent. */
const sentBytes = (chunks: readonly OutputChunk[]): number =>
  chunks.reduce((sum, { code }) => sum + compressed(code), 0)

const compressed = (code: string): number => gzipSync(code, { level: 9 }).length

const inKB = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`

test('createFetch with all defaults stays small', async () => {
  const { initial, everything } = await bundled('createFetch')
  const [bytes, all] = [bytesOf(initial), bytesOf(everything)]
  console.log(
    `createFetch: ${inKB(bytes)} minified and compressed (target ${inKB(targetBytes)}), ` +
      `${inKB(sentBytes(initial))} as the ${initial.length} files of one bundler; ` +
      `${inKB(all)} with what is off by default`,
  )
  expect(bytes).toBeLessThanOrEqual(limitBytes)
})

test('what is loaded at once is all that a call with the defaults needs, its retries included', async () => {
  const { initial } = await bundled('createFetch')
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-size-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const { fileName, code } of initial) writeFileSync(join(folder, fileName), code)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const { createFetch } = (await import(pathToFileURL(join(folder, 'entry.js')).href)) as typeof holdfast
  const answers = [503, 201]
  const options: holdfast.FetchOptions = {
    fetch: async () => new Response(null, { status: answers.shift() ?? 200 }),
    // Only backoffs keep a process alive, and these take no time.
    clock: {
      now: () => 0,
      wallNow: () => 0,
      schedule(callback, _, { keepAlive = false } = {}) {
        if (keepAlive) queueMicrotask(callback)
        return { cancel() {} }
      },
    },
  }
  const response = await createFetch(options)('http://x.test/', { method: 'POST', body: '{}' })
  expect([response.status, answers]).toEqual([201, []])
  await expect(createFetch({ ...options, bulkhead: {} })('http://x.test/')).rejects.toThrow(/extras/)
})

test('a part costs less than the whole', async () => {
  const [part, whole] = [await bundled('retry'), await bundled('createFetch')]
  expect(bytesOf(part.initial)).toBeLessThan(bytesOf(whole.initial) / 2)
})
