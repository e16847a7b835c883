import { createFetch } from '../client/create-fetch.ts'
import type { FetchOptions, HoldfastFetch } from '../client/options.ts'
import { RULES } from '../client/settings/rules.ts'
import { isHoldfast } from '../client/transport.ts'
import { isHoldfastError } from '../primitives/errors.ts'
import { checkKeys } from '../primitives/validate.ts'
import { merged, REGISTER_DEFAULTS, type RegisterConfig } from './config.ts'
import { readConfigFile } from './config-file.ts'
import { flagOf, readEnvironment, type Environment } from './environment.ts'
import { RegisterError } from './register-error.ts'
import { Report } from './report.ts'

/** What of its process the registration reads and needs; injected for tests. */
export interface Surroundings {
  readonly environment: Environment
  /** Where the configuration file is looked for. */
  readonly folder: string
  /** Called when the process ends, with what there is to report. */
  readonly onExit: (report: () => string) => void
}

/**
 * Makes the fetch that stands in for the process's own; nothing where `HOLDFAST_OFF` is set.
 *
 * @throws {RegisterError} saying which file or variable is wrong, and how
 */
export function registeredFetch({ environment, folder, onExit }: Surroundings): HoldfastFetch | undefined {
  if (flagOf(environment, 'HOLDFAST_OFF')) return undefined
  const file = readConfigFile(folder, environment['HOLDFAST_CONFIG'])
  const fromFile = merged(REGISTER_DEFAULTS, file?.config ?? {})
  // Made only to be checked: what is wrong in the file is reported with its path, not as the environment's.
  if (file !== undefined) fetchOf(fromFile, file.path)
  const { report = false, ...options } = merged(fromFile, ...readEnvironment(environment))
  checkReport(report, file?.path)
  if (!report) return fetchOf(options, 'the environment')
  const counted = new Report()
  onExit(() => counted.toString())
  return fetchOf(options, 'the environment').observe({ onEvent: counted.listener })
}

const OPTIONS = [...Object.keys(RULES).filter((name) => name !== 'fetch'), 'report']

/** Makes the fetch. @throws {RegisterError} for a wrong option, with the place where it was read */
function fetchOf({ report: _, ...options }: RegisterConfig, place: string): HoldfastFetch {
  if ('fetch' in options) throw new RegisterError(`${place}: fetch is what gets replaced, and can't be set`)
  try {
    checkKeys('the configuration', options, OPTIONS)
    return createFetch({ ...options, ...platform() })
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    throw new RegisterError(`${place}: ${error.message}`, { cause: error })
  }
}

/**
 * The fetch that gets replaced, as the transport. Named explicitly, since code that wraps the global fetch later wraps
 * ours, and attempts must not pass through that wrapper again. An existing Holdfast fetch is no transport.
 */
function platform(): FetchOptions {
  const { fetch } = globalThis
  return isHoldfast(fetch) ? {} : { fetch }
}

function checkReport(report: unknown, place = 'the environment'): void {
  if (typeof report !== 'boolean')
    throw new RegisterError(`${place}: report should be true or false, got ${JSON.stringify(report)}`)
}
