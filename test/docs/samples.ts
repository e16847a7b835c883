/** Compiles the samples of the documentation and runs them, each as a module of its own, on the built package. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, tsc } from '../package/run.ts'
import type { Block } from './markdown.ts'

export interface Compiled {
  /** What the compiler says of one block, each with `page.md:line`. */
  errorsOf(block: Block): string[]
  /** Runs one block; the answer is empty when it ended well. */
  run(block: Block, timeoutMs?: number): Promise<string>
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

  const { output } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder })
  const errors = output.split(/\n(?=\S)/).filter(Boolean)
  return {
    errorsOf: (block) => {
      const start = `${fileName(block)}.ts(`
      return errors.filter((error) => error.startsWith(start)).map((error) => withPlaces(error, block))
    },
    run: async (block, timeoutMs = 20_000) => {
      const file = join(folder, 'out', `${fileName(block)}.js`)
      const options = { cwd: join(folder, 'cwd'), timeoutMs, env: { NODE_OPTIONS: '' } }
      const ended = await run(process.execPath, ['--enable-source-maps', file], options)
      return ended.status === 0
        ? ''
        : `${block.at} ended with ${ended.status}\n${withPlaces(ended.output, block)}`
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

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
