/** An output stream, as far as the command line needs one. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** Where a command writes: results to `stdout`, what happens meanwhile to `stderr`. */
export interface Terminal {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
}

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** https://no-color.org and its counterpart; else colours are for people, who sit at terminals. */
export function wantsColour(output: Output, env: Terminal['env']): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0'
  return output.isTTY === true && env['TERM'] !== 'dumb'
}
