import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { minify } from 'rolldown/experimental'
import { root } from '../harness/machine.ts'
import type { Facts } from '../harness/result.ts'

interface Part {
  readonly name: string
  /** How the paths of its modules begin. */
  readonly begins: readonly string[]
}

/** Which modules make a part: the first that fits counts. */
const PARTS: readonly Part[] = [
  part('circuit breaker', 'policies/circuit-breaker/', 'structures/sliding-counts'),
  part('retry, backoff and budget', 'policies/retry', 'policies/backoff', 'primitives/delay'),
  part(
    'timeouts, aborts, the clock',
    'policies/timeout',
    'primitives/clock',
    'primitives/signal',
    'core/ending-scope',
  ),
  part('fallback', 'policies/fallback'),
  part(
    'checked options and errors',
    'client/settings/',
    'primitives/validate',
    'primitives/options',
    'primitives/errors',
    'core/describe',
  ),
  part('HTTP: statuses, Retry-After, network errors, bodies that are sent again', 'http/'),
  part('a call: the request, its key, attempts, events, the outcome', 'client/'),
  part('what policies stand on', ''),
]

function part(name: string, ...begins: readonly string[]): Part {
  return { name, begins }
}

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

/** @throws where nothing is left of what a part was said to be: its figure would be of something else. */
function partsOf(all: readonly Module[]): Map<Module, Part> {
  const unmet = PARTS.flatMap(({ begins }) => begins).filter(
    (begin) => !all.some(({ name }) => name.startsWith(begin)),
  )
  if (unmet.length > 0) throw new Error(`no module of createFetch begins with ${unmet.join(', ')}`)
  const fits = ({ name }: Module, { begins }: Part): boolean => begins.some((begin) => name.startsWith(begin))
  return new Map(
    all.flatMap((module) =>
      PARTS.filter((one) => fits(module, one))
        .slice(0, 1)
        .map((one) => [module, one]),
    ),
  )
}

/** Where the bytes of `createFetch` are: by how much less it is without a part. */
export async function sizeOfParts(): Promise<Facts> {
  const all = await modules()
  const parts = partsOf(all)
  const whole = await bytesOf(all)
  const rows = await Promise.all(
    PARTS.map(async (one) => {
      const others = all.filter((module) => parts.get(module) !== one)
      return { library: 'holdfast', name: one.name, values: [whole - (await bytesOf(others))] }
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
