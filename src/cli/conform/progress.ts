import type { Output } from '../terminal.ts'

const CLEAR_LINE = '\r\u001B[2K'

interface RowUnderWay {
  readonly id: string
  readonly title: string
  readonly number: number
  readonly of: number
}

/** Shows which row is under way, on a terminal only; nothing of it stays. */
export function showProgress(output: Output): { show: (row: RowUnderWay) => void; stop: () => void } {
  if (output.isTTY !== true) return { show() {}, stop() {} }
  return {
    show({ id, title, number, of }) {
      const line = `  ${number} of ${of}  ${id}  ${title}`
      output.write(`${CLEAR_LINE}${line.slice(0, (output.columns ?? 80) - 1)}`)
    },
    stop: () => void output.write(CLEAR_LINE),
  }
}
