/** The tests that a mutation run asks: those beside the code. They are quick, and a unit's own tests should notice. */
import { defineConfig } from 'vitest/config'

const parts = 'composition,quantile,semaphore,sliding-counts,waiting-room,workers'

export default defineConfig({
  test: { include: ['src/{http,policies}/**/*.test.ts', `src/{${parts}}.test.ts`] },
})
