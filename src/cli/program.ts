import { Command, CommanderError } from 'commander'
import { conformCommand } from './conform/command.ts'
import { demoCommand } from './demo/command.ts'
import { EXIT, type Terminal } from './terminal.ts'
import { packageVersion } from './version.ts'

/**
 * The command line `holdfast`.
 *
 * @param args What follows the command's name.
 * @returns The exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted.
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = buildProgram(terminal, (code) => (exitCode = code))
  if (args.length === 0) {
    program.outputHelp()
    return EXIT.ok
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    terminal.stderr.write(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`)
    return EXIT.failed
  }
}

function buildProgram(terminal: Terminal, finish: (exitCode: number) => void): Command {
  const program = new Command('holdfast')
  program
    .description('HTTP calls that survive failure: see it in one run, test whether an API does its part.')
    .version(packageVersion(), '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .helpCommand(false)
    .showHelpAfterError('(holdfast --help tells more)')
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    })
    .exitOverride()
  for (const make of [demoCommand, conformCommand]) {
    const command = make(terminal, finish).copyInheritedSettings(program)
    program.addCommand(command.showHelpAfterError(`(holdfast ${command.name()} --help tells more)`))
  }
  return program
}
