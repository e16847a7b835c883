import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import * as holdfast from '../../src/index.ts'
import type { RunBench } from '../harness/bench.ts'
import type { Progress } from '../harness/progress.ts'
import { comparison, type Measured } from '../harness/result.ts'
import { root } from '../harness/machine.ts'
import { entries, importedPeers, optionalPeers, type Imported } from './packages.ts'
import { sizeOfParts } from './size-parts.ts'

const client: Imported = {
  library: 'holdfast',
  name: '{ createFetch }',
  has: ['retry', 'breaker', 'timeout', 'budget', 'keys'],
  from: ['holdfast'],
  names: ['createFetch'],
}

/** Every function of the root entry by itself: what is not imported is not there. */
const single: readonly Imported[] = Object.entries(holdfast)
  .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name) && name !== 'createFetch')
  .map(([name]) => ({ library: 'holdfast', name: `{ ${name} }`, has: [], from: ['holdfast'], names: [name] }))

const whole: readonly Imported[] = entries.map((entry) => ({
  library: 'holdfast',
  name: `all of '${entry}'`,
  has: [],
  from: [entry],
}))

/** What an application's bundle grows by. */
export const run: RunBench = async (_settings, progress) => {
  const tables = [
    {
      title: 'The client',
      note: 'What an application needs for resilient requests, bundled for browsers with all it reaches, minified, gzip -9: what is loaded at once.',
      imported: [client, ...importedPeers],
    },
    {
      title: 'Single exports and whole entries',
      note: 'The same for other imports of Holdfast. Entries that need Node are bundled for Node, dependencies included.',
      imported: [client, ...single, ...whole],
    },
  ]
  const count = tables.reduce((sum, { imported }) => sum + imported.length, 0)
  const tick = counter(progress, count)
  const sections = []
  for (const { title, note, imported } of tables) {
    const measured: Measured[] = []
    for (const one of imported) {
      tick(`${one.library} ${one.name}`)
      measured.push(await measure(one))
    }
    sections.push(comparison({ title, note, unit: 'B', baseline: client, measured }))
  }
  const [theClient, ...others] = sections
  return [theClient, await sizeOfParts(), ...others].filter((section) => section !== undefined)
}

function counter(progress: Progress, count: number): (what: string) => void {
  let done = 0
  return (what) => progress.step(done++ / count, what)
}

async function measure({ library, name, has, from, names }: Imported): Promise<Measured> {
  const source = from.map((module, index) => exported(module, names, index)).join('\n')
  const isOurs = library === client.library
  const inBrowser = await bundle(source, 'browser', isOurs)
  const found = inBrowser.needsNode ? await bundle(source, 'node', isOurs) : inBrowser
  return {
    library,
    name,
    has,
    samples: [found.bytes],
    ...remarkOf([
      ...(inBrowser.needsNode ? ['needs Node'] : []),
      ...(found.laterBytes > 0
        ? [`${found.laterBytes.toLocaleString('en')} B more are loaded when used`]
        : []),
    ]),
  }
}

const remarkOf = (remarks: readonly string[]): { remark?: string } =>
  remarks.length === 0 ? {} : { remark: remarks.join('; ') }

function exported(module: string, names: readonly string[] | undefined, index: number): string {
  if (names === undefined) return `export * from '${module}'`
  return `export { ${names.map((name) => `${name} as ${name}${index}`).join(', ')} } from '${module}'`
}

const isBuiltin = (id: string): boolean => id.startsWith('node:') || builtinModules.includes(id)

/** What stays outside the bundle on purpose: what users of Holdfast have, where they need it. Peers bring theirs along. */
const isOutside = (id: string, isOurs: boolean): boolean =>
  isBuiltin(id) || (isOurs && optionalPeers.includes(id))

interface Bundle {
  /** What is loaded at once. */
  readonly bytes: number
  /** What is not: behind an `import()`. */
  readonly laterBytes: number
  readonly needsNode: boolean
}

async function bundle(source: string, platform: 'browser' | 'node', isOurs: boolean): Promise<Bundle> {
  // It stands in the root, so that all is resolved as an application there would.
  const entry = join(root, 'bundled-by-bench.js')
  const bundle = await rolldown({
    input: entry,
    platform,
    external: (id) => isOutside(id, isOurs),
    // An application's own entry is imported by nobody, so shared code can stand in it.
    preserveEntrySignatures: 'allow-extension',
    logLevel: 'silent',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? source : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ minify: true, format: 'esm' })
  await bundle.close()
  const chunks = output.filter((file) => file.type === 'chunk')
  const own = new Set(chunks.map(({ fileName }) => fileName))
  const imported = chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
  const missing = imported.filter((id) => !own.has(id) && !isOutside(id, isOurs))
  if (missing.length > 0) throw new Error(`cannot be bundled, since it is not there: ${missing.join(', ')}`)
  const initial = new Set(chunks.filter(({ isEntry }) => isEntry))
  // A set iterates over what is added to it meanwhile.
  for (const { imports } of initial)
    for (const chunk of chunks) if (imports.includes(chunk.fileName)) initial.add(chunk)
  const bytes = compressed([...initial])
  return { bytes, laterBytes: compressed(chunks) - bytes, needsNode: imported.some(isBuiltin) }
}

const compressed = (chunks: readonly { readonly code: string }[]): number =>
  chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
