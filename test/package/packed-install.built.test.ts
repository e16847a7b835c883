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

describe('the packed package in an empty project', () => {
  test.each(subpaths)('imports %s', async (name) => {
    const attributes = name.endsWith('.json') ? `, { with: { type: 'json' } }` : ''
    const code = `const module = await import('${name}'${attributes}); console.log(Object.keys(module).length)`
    const { status, output, stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: project,
    })
    expect(status, output).toBe(0)
    expect(Number(stdout)).toBeGreaterThan(0)
  })

  test('brings no native addon and no optional peer with it', async () => {
    const { stdout } = await run('npm', ['ls', '--all', '--parseable'], { cwd: project })
    expect(stdout).not.toMatch(/sqlite|libsql/)
  })

  test('offers its command line', async () => {
    const { status, output } = await run('npx', ['--no-install', 'holdfast', '--help'], { cwd: project })
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
    // The package's own declarations are what is checked here.
    skipLibCheck: false,
    typeRoots: [join(root, 'node_modules/@types')],
  }

  async function check(name: string, source: string, options: object): Promise<string> {
    const folder = join(project, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'main.ts'), source)
    const config = { compilerOptions: { ...strict, ...options }, files: ['main.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    return (await run(process.execPath, [tsc, '-p', folder], { cwd: project })).output
  }

  const everything = modules.map((name, index) => `import * as m${index} from '${name}'`).join('\n')
  const uses = `console.log(${modules.map((_, index) => `m${index}`).join(', ')})`
  const onNode = { lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: ['node'] }

  test.each([
    ['nodenext', { module: 'NodeNext', moduleResolution: 'NodeNext' }],
    ['bundler', { module: 'ESNext', moduleResolution: 'Bundler' }],
  ])('hold for a strict consumer with moduleResolution %s', async (name, resolution) => {
    expect(await check(name, `${everything}\n${uses}`, { ...resolution, ...onNode })).toBe('')
  })

  test('of the root entry need no Node types', async () => {
    const inBrowser = { lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [], moduleResolution: 'Bundler' }
    const source = `import * as holdfast from 'holdfast'\nconsole.log(holdfast)`
    expect(await check('browser', source, { ...inBrowser, module: 'ESNext' })).toBe('')
  })

  test('are there: a wrong use is refused', async () => {
    const wrong = `import { noSuchName } from 'holdfast'\nconsole.log(noSuchName)`
    const output = await check('wrong', wrong, { module: 'NodeNext', ...onNode })
    expect(output).toContain('noSuchName')
  })
})
