import { systemClock, type Clock } from '../../src/primitives/clock.ts'

/** What is closed may take a moment to be gone. */
const MOST_MS = 5000

/** The exit code of a run that is over and does not end. */
const HELD = 3

export interface Ending {
  readonly clock: Clock
  /** What keeps the process from its end. */
  readonly holders: () => readonly string[]
  readonly say: (line: string) => void
  readonly exit: (code: number) => void
}

const OF_THIS_PROCESS: Ending = {
  clock: systemClock,
  holders: () => process.getActiveResourcesInfo(),
  say: (line) => void process.stderr.write(line),
  exit: (code) => process.exit(code),
}

/**
 * To be called when all is done: a process that does not end by itself soon is ended, as a failure, and says what was
 * left open. The wait itself holds no process.
 */
export function endSoon({ clock, holders, say, exit }: Ending = OF_THIS_PROCESS): void {
  clock.schedule(() => {
    say(`torture: all is done, but the process does not end. Left open: ${holders().join(', ')}\n`)
    exit(HELD)
  }, MOST_MS)
}
