import { Command, InvalidArgumentError } from 'commander'
import type { Terminal } from '../terminal.ts'
import type { ConformOptions } from './options.ts'

type Fields = Record<string, string>

function headerLine(command: Command, option: string, text: string): Fields {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/.exec(text) ?? []
  if (name !== undefined && value !== undefined) return { [name.toLowerCase()]: value }
  // It may be a secret: an InvalidArgumentError would print it.
  return command.error(
    `error: ${option} should be a header, got ${text.length} characters without a name and a colon; ` +
      "try 'authorization: Bearer abc'.",
  )
}

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError(
    `It should be a whole number above 0, got ${JSON.stringify(text)}; try 1000.`,
  )
}

const ids = (text: string): readonly string[] =>
  text
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '')

const EXPLANATION = `
The API serves a small fixture at URL, behind its idempotency: /effects counts how
often it runs, /__count tells. docs/conform.md has it for node:http and in words.

Exit code: 0 when no MUST row failed; 1 when one did, or could not be shown because
a row it needs failed or requests were too slow to meet; 2 when nothing could be
run, or used wrongly. Rows that are a SHOULD are warnings, rows that are a MAY are
told and count for nothing.

Examples:
  holdfast conform http://127.0.0.1:3000
  holdfast conform https://api.test --header 'authorization: Bearer abc' --required
  holdfast conform http://127.0.0.1:3000 --only D5,P1 --json
  holdfast conform URL --principal 'x-client: a:' --principal 'x-client: a'`

export function conformCommand(terminal: Terminal, finish: (exitCode: number) => void): Command {
  const command = new Command('conform')
  const addHeader = (text: string, before: Fields = {}): Fields => ({
    ...before,
    ...headerLine(command, '--header', text),
  })
  const addPrincipal = (text: string, before: readonly Fields[] = []): readonly Fields[] => [
    ...before,
    headerLine(command, '--principal', text),
  ]
  return command
    .description('Tell whether an API honours idempotency keys, from outside, row by row.')
    .argument('<url>', 'Where the API serves the fixture.')
    .option('--header <line>', 'A header of every request; may be given several times.', addHeader)
    .option('--principal <line>', "A client's credentials, as a header; given twice.", addPrincipal)
    .option('--required', 'The API refuses writes without a key.')
    .option('--strict', 'The API takes quoted strings only, no bare keys.')
    .option('--origin <origin>', 'An origin that browsers may call the API from.')
    .option('--max-body-bytes <number>', 'The largest body the API takes. (default: 1 MiB)', positive)
    .option(
      '--delay-ms <number>',
      'How long a handler runs where something happens meanwhile. (default: 400)',
      positive,
    )
    .option('--timeout-ms <number>', 'The longest a row may take. (default: 15000)', positive)
    .option('--only <ids>', 'Only these rows, such as D5,P1.', ids)
    .option('--json', 'Print { url, rows, notBlackBox, summary } as JSON and nothing else.', false)
    .addHelpText('after', EXPLANATION)
    .action(async (url: string, options: ConformOptions) => {
      const { conform } = await import('./conform.ts')
      finish(await conform(url, options, terminal))
    })
}
