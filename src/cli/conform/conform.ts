import { isHoldfastError } from '../../primitives/errors.ts'
import {
  conformanceReport,
  ConformanceSetupError,
  type ConformanceReport,
  type ConformanceReportOptions,
  type HeaderFields,
} from '../../testing/index.ts'
import { EXIT, wantsColour, type Terminal } from '../terminal.ts'
import type { ConformOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { renderReport } from './table.ts'

/** Runs the table against an API and tells what came of it. @returns The exit code. */
export async function conform(url: string, options: ConformOptions, terminal: Terminal): Promise<number> {
  const { stdout, stderr, env } = terminal
  const progress = showProgress(stderr)
  const report = await run({ ...settingsOf(url, options), onRow: progress.show }).finally(progress.stop)
  if (typeof report === 'string') {
    stderr.write(`holdfast: ${report}\n`)
    return EXIT.usage
  }
  const text = options.json
    ? JSON.stringify(report, undefined, 2)
    : renderReport(report, wantsColour(stdout, env))
  stdout.write(`${text}\n`)
  return report.summary.conforms ? EXIT.ok : EXIT.failed
}

function settingsOf(url: string, options: ConformOptions): ConformanceReportOptions {
  const { json: _, header, principal, ...rest } = options
  return {
    ...rest,
    url,
    ...(header === undefined ? {} : { headers: header }),
    // Any other number than two is refused with the other options.
    ...(principal === undefined ? {} : { principals: principal as readonly [HeaderFields, HeaderFields] }),
  }
}

/** @returns Why nothing could be run, where that is so. */
async function run(options: ConformanceReportOptions): Promise<ConformanceReport | string> {
  try {
    return await conformanceReport(options)
  } catch (error) {
    if (error instanceof ConformanceSetupError || isHoldfastError(error)) return error.message
    throw error
  }
}
