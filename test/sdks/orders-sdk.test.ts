import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { run } from '../package/run.ts'

const example = fileURLToPath(new URL('../../examples/orders-sdk/', import.meta.url))
const generator = fileURLToPath(new URL('node_modules/openapi-typescript/bin/cli.js', import.meta.url))

test('the types of examples/orders-sdk are those of its OpenAPI document', async () => {
  // Without --output it prints them.
  const { status, stdout, output } = await run(process.execPath, [generator, 'openapi.yaml'], {
    cwd: example,
  })
  expect(status, output).toBe(0)
  expect(readFileSync(`${example}src/schema.ts`, 'utf8').trim()).toBe(stdout.trim())
})
