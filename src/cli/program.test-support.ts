import { runCommandLine } from './program.ts'

/** Runs the command line in this process, away from any terminal. */
export async function holdfast(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' }
  const terminal = {
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
    env: {},
  }
  return { code: await runCommandLine(args, terminal), ...written }
}
