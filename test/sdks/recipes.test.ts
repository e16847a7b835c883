/** The recipes of docs/testing.md, each run by its own runner on the package as it is published. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { root, run } from '../package/run.ts'
import { modules, projectWith } from './project.ts'

const recipes = fileURLToPath(new URL('recipes', import.meta.url))
const vitest = join(root, 'node_modules/vitest')
const project = projectWith({
  vitest,
  '@jest/globals': join(modules, '@jest/globals'),
  msw: join(modules, 'msw'),
})
afterAll(() => project[Symbol.dispose]())

test.each([
  { recipe: 'node-test', command: ['--test'] },
  { recipe: 'vitest', command: [join(vitest, 'vitest.mjs'), 'run'] },
  { recipe: 'msw', command: [join(vitest, 'vitest.mjs'), 'run'] },
  { recipe: 'jest', command: ['--experimental-vm-modules', join(modules, 'jest/bin/jest.js'), '--ci'] },
])('$recipe', async ({ recipe, command }) => {
  const folder = join(project.folder, recipe)
  mkdirSync(folder)
  // They have no types in them, so that every runner takes them as JavaScript.
  copyFileSync(join(recipes, `${recipe}.ts`), join(folder, 'recipe.test.js'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const { status, output } = await run(process.execPath, command, { cwd: folder })
  expect(status, output).toBe(0)
  expect(output).toMatch(/pass(ed)? 1|1 passed/)
})
