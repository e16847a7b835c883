import { conformanceReport, type ConformanceReportOptions } from '../../../src/testing/index.ts'
import { serve } from '../serve.ts'
import { fixtureApp } from './app.ts'
import type { Verdict } from './kept.ts'
import type { ConformSubject } from './subjects.ts'

/** Two clients, known by what any API knows them by. */
const principals = [{ authorization: 'Bearer a:' }, { authorization: 'Bearer a' }] as const

/** Runs the conformance table against a layer in front of the fixture. */
export async function judge(
  { library, store, open }: ConformSubject,
  options: Pick<ConformanceReportOptions, 'only' | 'onRow'>,
): Promise<Verdict> {
  const { close, ...mount } = await open()
  const api = await serve(fixtureApp(mount))
  try {
    const { rows, summary } = await conformanceReport({ ...options, url: api.url, principals })
    return { library, store, rows, summary }
  } finally {
    await api[Symbol.asyncDispose]()
    await close?.()
  }
}
