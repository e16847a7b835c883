/** Who may import whom. The architecture test holds `src` against it; CONTRIBUTING.md explains it. */
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { importsOf, isRelative, resolveRelative } from '../../scripts/module-graph.mjs'

/** One import: paths inside `src`, or the bare specifier of what comes from outside. */
export interface Edge {
  readonly from: string
  readonly to: string
  readonly line: number
  readonly outside: boolean
}

export type Layer =
  | 'primitives'
  | 'structures'
  | 'core'
  | 'policies'
  | 'http'
  | 'client'
  | 'root'
  | 'cache'
  | 'rate-limit'
  | 'adapters'
  | 'register'
  | 'telemetry'
  | 'store interface'
  | 'idempotency'
  | 'node http'
  | 'frameworks'
  | 'stores'
  | 'testing'
  | 'cli'

const library: readonly Layer[] = ['primitives', 'structures', 'core', 'policies', 'http', 'client']
const server: readonly Layer[] = ['store interface', 'idempotency', 'node http', 'frameworks', 'stores']

/** From the bottom up: a file of a layer imports its own layer and the layers named here, nothing else. */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  primitives: [],
  structures: ['primitives'],
  core: ['primitives'],
  policies: ['primitives', 'structures', 'core'],
  http: ['primitives', 'core'],
  client: ['primitives', 'core', 'policies', 'http'],
  root: library,
  cache: ['primitives', 'structures', 'core', 'http'],
  'rate-limit': ['primitives', 'structures', 'core', 'http'],
  adapters: library,
  register: library,
  telemetry: [...library, 'idempotency'],
  'store interface': ['primitives'],
  idempotency: ['primitives', 'store interface'],
  'node http': ['primitives', 'store interface', 'idempotency'],
  frameworks: ['primitives', 'store interface', 'idempotency', 'node http'],
  stores: ['primitives', 'structures', 'store interface'],
  testing: [...library, 'store interface', 'idempotency'],
  cli: [...library, 'root', 'cache', 'rate-limit', 'adapters', 'telemetry', ...server, 'testing'],
}

/** Files whose layer is not the one that their folder is named after. */
const exceptions: readonly (readonly [RegExp, Layer])[] = [
  [/^index\.ts$/, 'root'],
  [/^idempotency\/frameworks\//, 'frameworks'],
  [/^idempotency\/node-http\//, 'node http'],
  [/^idempotency\/store\.ts$/, 'store interface'],
]

/** Siblings that must not know each other: each is one file or one folder. */
const siblings = /^(policies|adapters|telemetry|stores|idempotency\/frameworks)\/([^/]+?)(?:\.ts|\/|$)/

/** Strategies and helpers that siblings share. */
const shared = new Set([
  'policies/backoff',
  'stores/acquire-decision',
  'stores/purge-schedule',
  'telemetry/measure',
  'telemetry/peer',
])

export function layerOf(path: string): Layer | undefined {
  const exception = exceptions.find(([pattern]) => pattern.test(path))
  if (exception) return exception[1]
  const folder = path.split('/', 1)[0] ?? ''
  return isLayer(folder) ? folder : undefined
}

const isLayer = (name: string): name is Layer => Object.hasOwn(mayImport, name)

/** Imports that point up, or sideways between siblings, a sentence each. */
export function wrongImports(edges: readonly Edge[]): string[] {
  return edges.filter((edge) => !edge.outside).flatMap((edge) => complaint(edge) ?? [])
}

function complaint({ from, to, line }: Edge): string | undefined {
  const at = `src/${from}:${line}`
  const [source, target] = [layerOf(from), layerOf(to)]
  if (!source) return `${at}: src/${from} belongs to no layer`
  if (!target) return `${at}: src/${to} belongs to no layer`
  const allowed: readonly Layer[] = mayImport[source]
  if (source !== target && !allowed.includes(target))
    return `${at}: ${source} must not import ${target} (src/${to})`
  const [unit, other] = [unitOf(from), unitOf(to)]
  if (unit && other && areSiblings(unit, other) && !shared.has(other))
    return `${at}: ${unit} must not import its sibling ${other}`
  return undefined
}

const areSiblings = (unit: string, other: string): boolean =>
  unit !== other && dirname(unit) === dirname(other)

function unitOf(path: string): string | undefined {
  const match = siblings.exec(path)
  return match ? `${match[1]}/${match[2]}` : undefined
}

/** Everything that is imported from outside the package by the files that `entries` reach. */
export function outsideImports(edges: readonly Edge[], entries: readonly string[]): string[] {
  const reached = reachedFrom(edges, entries)
  return edges
    .filter((edge) => edge.outside && reached.has(edge.from))
    .map((edge) => `src/${edge.from}:${edge.line}: imports "${edge.to}"`)
}

function reachedFrom(edges: readonly Edge[], entries: readonly string[]): ReadonlySet<string> {
  const reached = new Set(entries)
  // A set iterates over what is added to it meanwhile.
  for (const file of reached)
    for (const edge of edges) if (edge.from === file && !edge.outside) reached.add(edge.to)
  return reached
}

/** One path for each group of modules that import each other in a circle. Types count: a circle of types is one too. */
export function cycles(edges: readonly Edge[]): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const edge of edges) if (edge.from === file && !edge.outside) visit(edge.to, [...path, file])
    done.add(file)
  }
  for (const { from } of edges) visit(from, [])
  return found
}

/** The imports of every source file, tests left out: a test may reach for anything. */
export function readEdges(sourceFolder: string): Edge[] {
  return sourceFiles(sourceFolder).flatMap((file) => edgesOf(join(sourceFolder, file), sourceFolder))
}

export function sourceFiles(sourceFolder: string): string[] {
  return readdirSync(sourceFolder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts') && !/\.(?:test|fixture|test-support)\.ts$/.test(file))
}

function edgesOf(file: string, sourceFolder: string): Edge[] {
  const from = relative(sourceFolder, file).replaceAll('\\', '/')
  return importsOf(file).map(({ specifier, line }) => {
    if (!isRelative(specifier)) return { from, to: specifier, line, outside: true }
    const target = resolveRelative(file, specifier)
    if (!target) throw new Error(`src/${from}:${line}: "${specifier}" does not exist`)
    const to = relative(sourceFolder, target).replaceAll('\\', '/')
    return { from, to, line, outside: to.startsWith('../') }
  })
}
