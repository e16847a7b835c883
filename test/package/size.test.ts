import { gzipSync } from 'node:zlib'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { expect, test } from 'vitest'
import { root } from './run.ts'

/** Where it shall go, and what it may not pass meanwhile. */
const targetBytes = 7 * 1024
const limitBytes = 24 * 1024

/** What an application pays for one import: bundled, minified and compressed, with everything it reaches. */
async function bundledBytes(name: string): Promise<number> {
  const entry = 'virtual:entry'
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? `export { ${name} } from '${join(root, 'src/index.ts')}'` : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ minify: true, format: 'esm' })
  await bundle.close()
  expect(output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.imports : []))).toEqual([])
  return gzipSync(output[0].code, { level: 9 }).length
}

test('createFetch with all it reaches stays small', async () => {
  const bytes = await bundledBytes('createFetch')
  console.log(`createFetch: ${inKB(bytes)} minified and compressed (target ${inKB(targetBytes)})`)
  expect(bytes).toBeLessThanOrEqual(limitBytes)
})

test('a part costs less than the whole', async () => {
  expect(await bundledBytes('retry')).toBeLessThan((await bundledBytes('createFetch')) / 2)
})

const inKB = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`
