import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { minify } from 'rolldown/experimental'
import { root } from '../harness/machine.ts'
import type { Facts } from '../harness/result.ts'

/** Which modules make a part: the first that fits counts. */
const PARTS: readonly (readonly [name: string, modules: RegExp])[] = [
  ['circuit breaker', /^policies\/circuit-breaker\/|^sliding-counts/],
  ['retry, backoff and budget', /^policies\/(?:retry|backoff)|^delay/],
  ['timeouts, aborts, the clock', /^policies\/timeout|^clock|^ending-scope|^signal/],
  ['fallback', /^policies\/fallback/],
  ['checked options and errors', /^client\/settings\/|^validate|^options|^errors|^refusals|^describe/],
  ['HTTP: statuses, Retry-After, network errors, bodies that are sent again', /^http\//],
  ['a call: the request, its key, attempts, events, the outcome', /^client\//],
  ['what policies stand on', /^/],
]

interface Module {
  readonly name: string
  readonly code: string
}

/** What an application loads at once for `createFetch`, module by module. */
async function modules(): Promise<readonly Module[]> {
  const entry = join(root, 'parts-by-bench.js')
  const source = join(root, 'src/')
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    preserveEntrySignatures: 'allow-extension',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? `export { createFetch } from '${source}index.ts'` : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  const chunks = output.filter((file) => file.type === 'chunk')
  const initial = new Set(chunks.filter(({ isEntry }) => isEntry))
  // A set iterates over what is added to it meanwhile.
  for (const { imports } of initial)
    for (const chunk of chunks) if (imports.includes(chunk.fileName)) initial.add(chunk)
  return [...initial].flatMap(({ modules: all }) =>
    Object.entries(all).flatMap(([id, { code }]) => (code ? { name: id.replace(source, ''), code } : [])),
  )
}

/** Minified as it is: what nobody uses once others are left out stays, so that only they are missing. */
async function bytesOf(all: readonly Module[]): Promise<number> {
  const text = all.map(({ code }) => code).join('\n')
  const { code } = await minify('parts.js', text, { compress: false, mangle: { toplevel: true } })
  return gzipSync(code, { level: 9 }).length
}

const partOf = ({ name }: Module): string | undefined => PARTS.find(([, fits]) => fits.test(name))?.[0]

/** Where the bytes of `createFetch` are: by how much less it is without a part. */
export async function sizeOfParts(): Promise<Facts> {
  const all = await modules()
  const whole = await bytesOf(all)
  const rows = await Promise.all(
    PARTS.map(async ([part]) => {
      const others = all.filter((module) => partOf(module) !== part)
      return { library: 'holdfast', name: part, values: [whole - (await bytesOf(others))] }
    }),
  )
  return {
    kind: 'facts',
    title: 'createFetch, part by part',
    note:
      'By how much less it is without the modules of a part, minified and compressed as above. The sum is less than the ' +
      'whole: what parts have in common is compressed once.',
    columns: [{ head: 'gzip', unit: 'B' }],
    rows,
  }
}
