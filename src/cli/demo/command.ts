import { Command, InvalidArgumentError } from 'commander'
import type { Terminal } from '../terminal.ts'
import type { DemoOptions } from './options.ts'

const MIN_ORDERS = 50
const MAX_ORDERS = 10_000
const MAX_SEED = 2 ** 31 - 1

/** Reads a whole number, or says what would be one. */
function wholeNumber(low: number, high: number, example: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= low && value <= high) return value
    throw new InvalidArgumentError(
      `It should be a whole number from ${low} to ${high}, got ${JSON.stringify(text)}; try ${example}.`,
    )
  }
}

const EXPLANATION = `
Three clients send the same orders to the same API under the same faults, at the
same time: bare fetch, bare fetch in a loop of 4 retries, and Holdfast with its
defaults. Each has an orders API in a process of its own, with an SQLite database
(removed afterwards), behind a server that fails on purpose. Everything stays on
this machine's loopback interface.

Exit code: 0 when Holdfast lost, doubled and doubted nothing, while bare fetch
lost orders and the loop doubled some; 1 otherwise; 2 when used wrongly.

Examples:
  holdfast demo                   500 orders, about 40 seconds
  holdfast demo --fast            the same plan, twenty times as fast
  holdfast demo --fast --json     the numbers only, for scripts`

export function demoCommand(terminal: Terminal, finish: (exitCode: number) => void): Command {
  return new Command('demo')
    .description('Send orders through an outage, with and without Holdfast, and count them.')
    .option(
      '--orders <number>',
      'How many orders each client sends.',
      wholeNumber(MIN_ORDERS, MAX_ORDERS, 500),
      500,
    )
    .option(
      '--seed <number>',
      'Which faults strike; the same seed, the same plan.',
      wholeNumber(0, MAX_SEED, 1),
      1,
    )
    .option('--fast', 'Divide all durations by 20, as far as the machine keeps up.', false)
    .option('--json', 'Print { bare, naive, holdfast, faults } as JSON and nothing else.', false)
    .addHelpText('after', EXPLANATION)
    .action(async (options: DemoOptions) => {
      // Loaded when asked for: `--help` needs no database driver.
      const { demo } = await import('./demo.ts')
      finish(await demo(options, terminal))
    })
}
