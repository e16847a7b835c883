/** The recipes of docs/testing.md, each run by its own runner on the package as it is published. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root, run } from '../package/run.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const modules = join(here, 'node_modules')

/** A project that has installed the package, and the runners. */
let project = ''
beforeAll(async () => {
  const built = await run(process.execPath, [join(root, 'scripts/build.mjs')])
  expect(built.status, built.output).toBe(0)
  project = mkdtempSync(join(tmpdir(), 'holdfast-recipes-'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  const packages = {
    holdfast: root,
    vitest: join(root, 'node_modules/vitest'),
    '@jest/globals': join(modules, '@jest/globals'),
    msw: join(modules, 'msw'),
  }
  for (const [name, folder] of Object.entries(packages)) {
    mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true })
    symlinkSync(folder, join(project, 'node_modules', name))
  }
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

test.each([
  { recipe: 'node-test', command: ['--test'] },
  { recipe: 'vitest', command: [join(root, 'node_modules/vitest/vitest.mjs'), 'run'] },
  { recipe: 'msw', command: [join(root, 'node_modules/vitest/vitest.mjs'), 'run'] },
  { recipe: 'jest', command: ['--experimental-vm-modules', join(modules, 'jest/bin/jest.js'), '--ci'] },
])('$recipe', async ({ recipe, command }) => {
  const folder = join(project, recipe)
  mkdirSync(folder)
  // They have no types in them, so that every runner takes them as JavaScript.
  copyFileSync(join(here, `recipes/${recipe}.ts`), join(folder, 'recipe.test.js'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const { status, output } = await run(process.execPath, command, { cwd: folder })
  expect(status, output).toBe(0)
  expect(output).toMatch(/pass(ed)? 1|1 passed/)
})
