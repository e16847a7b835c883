import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root, run, tsc } from './run.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string
  exports: Record<string, unknown>
}
const subpaths = Object.keys(manifest.exports).map((key) => `${manifest.name}${key.slice(1)}`)
const modules = subpaths.filter((name) => !name.endsWith('.json'))

/** Register changes the process that loads it. */
const REGISTER = 'holdfast/register'
const required = modules.filter((name) => name !== REGISTER)

/** An empty project that has installed the tarball, as a user's would. */
let project = ''

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'holdfast-install-'))
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project])
  expect(packed.status, packed.output).toBe(0)
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }]

  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  )
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=warn']
  const installed = await run('npm', ['install', ...flags, `./${filename}`], {
    cwd: project,
    timeoutMs: 120_000,
  })
  expect(installed.status, installed.output).toBe(0)
}, 180_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

/** In one process: no module knows whether another was loaded before, and register, which changes `fetch`, is the last. */
const IMPORT_EACH = `
const exported = {}
for (const name of process.argv.slice(2)) {
  const options = name.endsWith('.json') ? { with: { type: 'json' } } : {}
  exported[name] = await import(name, options).then((module) => Object.keys(module).length, String)
}
console.log(JSON.stringify(exported))`

describe('the packed package in an empty project', () => {
  test('imports by every name that it has', async () => {
    writeFileSync(join(project, 'import-each.mjs'), IMPORT_EACH)
    const names = [...subpaths.filter((name) => name !== REGISTER), REGISTER]
    const args = [join(project, 'import-each.mjs'), ...names]
    const { status, output, stdout } = await run(process.execPath, args)
    expect(status, output).toBe(0)
    const counts = JSON.parse(stdout) as Record<string, unknown>
    expect(Object.keys(counts)).toEqual(names)
    expect(Object.entries(counts).filter(([, count]) => !(Number(count) > 0))).toEqual([])
  })

  test('is required by CommonJS, by every name that it has', async () => {
    const file = join(project, 'require-each.cjs')
    writeFileSync(
      file,
      `for (const name of process.argv.slice(2)) require(name)\nconsole.log(require('holdfast'))`,
    )
    const { status, output, stdout, stderr } = await run(process.execPath, [file, ...required])
    expect(status, output).toBe(0)
    expect(stdout).toContain('createFetch: [Function: createFetch]')
    expect(stderr).toBe('')
  })

  test('brings no native addon and no optional peer with it', () => {
    const lock = readFileSync(join(project, 'node_modules/.package-lock.json'), 'utf8')
    const { packages } = JSON.parse(lock) as { packages: Record<string, unknown> }
    expect(Object.keys(packages)).toContain('node_modules/commander')
    expect(Object.keys(packages).filter((name) => /sqlite|libsql|axios/.test(name))).toEqual([])
  })

  test('offers its command line', async () => {
    const { status, output } = await run(join(project, 'node_modules/.bin/holdfast'), ['--help'])
    expect(status, output).toBe(0)
    expect(output).toMatch(/usage: holdfast/i)
    expect(output).toContain('demo')
  })
})

describe('its types', () => {
  const strict = {
    target: 'ES2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    // The package's own declarations are what is checked here, not those that TypeScript brings.
    skipLibCheck: false,
    skipDefaultLibCheck: true,
    typeRoots: [join(root, 'node_modules/@types')],
  }

  async function check(name: string, source: string, options: object): Promise<string> {
    const folder = join(project, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'main.ts'), source)
    const config = { compilerOptions: { ...strict, ...options }, files: ['main.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    return (await run(process.execPath, [tsc, '-p', folder, '--singleThreaded'], { cwd: project })).output
  }

  const everything = modules.map((name, index) => `import * as m${index} from '${name}'`).join('\n')
  const uses = `console.log(${modules.map((_, index) => `m${index}`).join(', ')})`
  const onNode = { lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: ['node'] }
  const inBrowser = { ...onNode, types: [], module: 'ESNext', moduleResolution: 'Bundler' }

  test.each([
    ['nodenext', { module: 'NodeNext', moduleResolution: 'NodeNext' }],
    // As @types/node alone has it, without what only browsers know.
    ['nodenext, no DOM', { module: 'NodeNext', moduleResolution: 'NodeNext', lib: ['ES2022'] }],
    ['bundler', { module: 'ESNext', moduleResolution: 'Bundler' }],
  ])('hold for a strict consumer with moduleResolution %s', async (name, resolution) => {
    expect(await check(name, `${everything}\n${uses}`, { ...onNode, ...resolution })).toBe('')
  })

  test('of the root entry need no Node types', async () => {
    const source = `import * as holdfast from 'holdfast'\nconsole.log(holdfast)`
    expect(await check('browser', source, inBrowser)).toBe('')
  })

  test('are there: a wrong use is refused', async () => {
    const wrong = `import { noSuchName } from 'holdfast'\nconsole.log(noSuchName)`
    const output = await check('wrong', wrong, inBrowser)
    expect(output).toContain('noSuchName')
  })
})
