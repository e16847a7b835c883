import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cycles, layerOf, outsideImports, readEdges, sourceFiles, wrongImports, type Edge } from './layers.ts'

const sourceFolder = fileURLToPath(new URL('../../src', import.meta.url))
const files = sourceFiles(sourceFolder)
const edges = readEdges(sourceFolder)

describe('the architecture of src', () => {
  test('was really read', () => {
    expect(files.length).toBeGreaterThan(10)
    expect(edges.length).toBeGreaterThan(files.length)
  })

  test('every file belongs to a layer', () => {
    expect(files.filter((file) => !layerOf(file))).toEqual([])
  })

  test('imports point down, and siblings never import each other', () => {
    expect(wrongImports(edges)).toEqual([])
  })

  test('no modules import each other in a circle', () => {
    expect(cycles(edges)).toEqual([])
  })

  test('the root entry reaches nothing from npm and nothing from Node', () => {
    expect(outsideImports(edges, ['index.ts'])).toEqual([])
  })

  test('the idempotency core imports no Node builtins', () => {
    const core = files.filter((file) => ['idempotency', 'store interface'].includes(layerOf(file) ?? ''))
    const builtins = outsideImports(edges, core).filter((line) => line.includes('"node:'))
    expect(builtins).toEqual([])
  })
})

describe('the check itself', () => {
  const edge = (from: string, to: string, outside = false): Edge => ({ from, to, line: 1, outside })

  test.each([
    ['a primitive that knows a policy', 'primitives/clock.ts', 'policies/retry.ts'],
    ['a primitive that knows the seam', 'primitives/signal.ts', 'core/policy.ts'],
    ['a structure that knows the seam', 'structures/semaphore.ts', 'core/policy.ts'],
    ['a policy that knows HTTP', 'policies/retry.ts', 'http/statuses.ts'],
    ['a policy that knows the client', 'policies/retry.ts', 'client/create-fetch.ts'],
    ['a policy that knows another', 'policies/retry.ts', 'policies/circuit-breaker/circuit.ts'],
    ['a store that knows another', 'stores/sqlite/index.ts', 'stores/memory.ts'],
    ['a store that knows the engine', 'stores/memory.ts', 'idempotency/engine.ts'],
    ['a framework that knows another', 'idempotency/frameworks/node.ts', 'idempotency/frameworks/hono.ts'],
    ['the engine that knows a store', 'idempotency/engine.ts', 'stores/memory.ts'],
    ['the client that knows the command line', 'client/create-fetch.ts', 'cli/main.ts'],
    ['anything that goes through the root entry', 'client/create-fetch.ts', 'index.ts'],
    ['a folder that nobody has placed', 'client/create-fetch.ts', 'misc/thing.ts'],
    ['a file in no folder', 'client/create-fetch.ts', 'thing.ts'],
  ])('refuses %s', (_, from, to) => {
    expect(wrongImports([edge(from, to)])).toHaveLength(1)
  })

  test.each([
    ['policies/retry.ts', 'policies/backoff.ts'],
    ['policies/circuit-breaker/circuit-breaker.ts', 'policies/circuit-breaker/circuit.ts'],
    ['stores/sqlite/index.ts', 'idempotency/store.ts'],
    ['client/create-fetch.ts', 'http/statuses.ts'],
    ['cli/main.ts', 'stores/memory.ts'],
  ])('accepts %s -> %s', (from, to) => {
    expect(wrongImports([edge(from, to)])).toEqual([])
  })

  test('finds a circle, whatever its length', () => {
    const circle = [edge('a.ts', 'b.ts'), edge('b.ts', 'c.ts'), edge('c.ts', 'a.ts'), edge('d.ts', 'a.ts')]
    expect(cycles(circle)).toEqual(['a.ts -> b.ts -> c.ts -> a.ts'])
  })

  test('sees what the root entry reaches through others', () => {
    const graph = [edge('index.ts', 'a.ts'), edge('a.ts', 'node:fs', true), edge('b.ts', 'pg', true)]
    expect(outsideImports(graph, ['index.ts'])).toEqual(['src/a.ts:1: imports "node:fs"'])
  })
})
