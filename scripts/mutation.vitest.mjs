/** The tests that a mutation run asks: those beside the code. They are quick, and a unit's own tests should notice. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['src/{primitives,structures,core,http,policies}/**/*.test.ts'] },
})
