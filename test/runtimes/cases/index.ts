import type { Case } from './case.ts'
import { retryCases } from './retry.ts'
import { sharedCases } from './shared.ts'
import { timeCases } from './time.ts'
import { writeCases } from './writes.ts'

/** What the client promises in every runtime. */
export const cases: readonly Case[] = [...retryCases, ...timeCases, ...writeCases, ...sharedCases]
