/** Compiles the samples of the documentation and runs them, each as a module of its own, on the built package. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, run, tsc, type Finished } from '../package/run.ts'
import type { Block } from './markdown.ts'

export interface Compiled {
  /** What the compiler says of one block, each with `page.md:line`. */
  errorsOf(block: Block): string[]
  /** Runs one block in a process of its own; the answer is empty when it ended well. */
  run(block: Block, timeoutMs?: number): Promise<string>
  /** Runs blocks one after the other in one process, which loads the package once; the answer lists what went wrong. */
  runAll(blocks: readonly Block[], timeoutMs?: number): Promise<string[]>
  remove(): void
}

/** A sample is checked as strictly as the sources are, save for names that it only shows. */
const compilerOptions = {
  noEmit: false,
  outDir: 'out',
  rootDir: '.',
  sourceMap: true,
  declaration: false,
  isolatedDeclarations: false,
  noUnusedLocals: false,
  noUnusedParameters: false,
  moduleDetection: 'force',
}

/** `name` tells apart the folders of runs that overlap. They lie inside the package, where `holdfast` is itself. */
export async function compileSamples(name: string, blocks: readonly Block[]): Promise<Compiled> {
  const folder = join(root, '.cache', 'docs', `${name}-${process.pid}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'cwd'), { recursive: true })
  for (const block of blocks)
    // As many lines above as the page has: each line keeps its number, in errors and in stack traces.
    writeFileSync(join(folder, `${fileName(block)}.ts`), '\n'.repeat(block.line - 1) + block.code + '\n')
  const config = { extends: '../../../tsconfig.json', compilerOptions, include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))

  const args = [tsc, '-p', folder, '--pretty', 'false', '--singleThreaded']
  const { output } = await run(process.execPath, args, { cwd: folder })
  const errors = output.split(/\n(?=\S)/).filter(Boolean)
  return {
    errorsOf: (block) => {
      const start = `${fileName(block)}.ts(`
      return errors.filter((error) => error.startsWith(start)).map((error) => withPlaces(error, block))
    },
    run: (block, timeoutMs) => runAlone(folder, block, timeoutMs),
    runAll: async (blocks, timeoutMs = 20_000) => {
      const together = await runTogether(folder, blocks, timeoutMs)
      if (together === '') return []
      // Which of them it was shows when each runs alone.
      const reports = await runEachAlone(folder, blocks, timeoutMs)
      return reports.length > 0 ? reports : [`only together: ${together}`]
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function runAlone(folder: string, block: Block, timeoutMs = 20_000): Promise<string> {
  const { status, output } = await node(folder, [compiledFile(folder, block)], timeoutMs)
  return status === 0 ? '' : `${block.at} ended with ${status}\n${withPlaces(output, block)}`
}

/** As many at once as a small machine can run in time. */
async function runEachAlone(folder: string, blocks: readonly Block[], timeoutMs: number): Promise<string[]> {
  const reports: string[] = []
  const left = blocks.values()
  const lane = async (): Promise<void> => {
    for (const block of left) reports.push(await runAlone(folder, block, timeoutMs))
  }
  await Promise.all([lane(), lane(), lane()])
  return reports.filter((report) => report !== '')
}

const ALL_RAN = 'all of them ran'

/** A sample must not live on what another one has left: modules share no names, but the globals. */
const ONE_BY_ONE = `
const values = () => [fetch, setTimeout, setImmediate, Date, process.cwd(), JSON.stringify(process.env)]
const globals = () => [...values(), Object.keys(globalThis).join()]
const before = globals()
for (const file of process.argv.slice(1)) {
  await import(file)
  if (globals().some((value, index) => value !== before[index])) throw new Error(file + ' changes a global')
}
console.log('${ALL_RAN}')`

async function runTogether(folder: string, blocks: readonly Block[], timeoutMs: number): Promise<string> {
  const files = blocks.map((block) => pathToFileURL(compiledFile(folder, block)).href)
  const args = ['--input-type=module', '--eval', ONE_BY_ONE, ...files]
  const { status, output, stdout } = await node(folder, args, timeoutMs)
  // A sample that calls process.exit(0) would hide those after it.
  const complete = status === 0 && stdout.trimEnd().endsWith(ALL_RAN)
  return complete ? '' : `ended with ${status}\n${output}`
}

function node(folder: string, args: readonly string[], timeoutMs: number): Promise<Finished> {
  const options = { cwd: join(folder, 'cwd'), timeoutMs, env: { NODE_OPTIONS: '' } }
  return run(process.execPath, ['--enable-source-maps', ...args], options)
}

const compiledFile = (folder: string, block: Block): string => join(folder, 'out', `${fileName(block)}.js`)

const fileName = ({ page, line }: Block): string => `${page.replaceAll('/', '~')}.${line}`

/** Turns places in the generated file into places in the page. */
function withPlaces(text: string, block: Block): string {
  const generated = `${fileName(block)}.ts`.replaceAll('.', '\\.')
  return text
    .trim()
    .replaceAll(new RegExp(`\\S*${generated}(?:\\((\\d+),|:(\\d+):)(\\d+)\\)?`, 'g'), (_, a, b, column) => {
      return `${block.page}:${a ?? b}:${column}`
    })
}
