/**
 * Whether a page shows real code: the block has to stand in the file, at any indentation. A line `// ...` leaves out
 * any number of lines.
 */
export function occursIn(file: string, block: string): boolean {
  const lines = file.split('\n')
  let start = 0
  for (const piece of block.split(/^\s*\/\/ (?:\.{3}|…)\s*$/m).map((text) => dedent(text))) {
    if (piece.length === 0) continue
    const found = indexOf(lines, piece, start)
    if (found < 0) return false
    start = found + piece.length
  }
  return true
}

function indexOf(lines: readonly string[], piece: readonly string[], start: number): number {
  for (let index = start; index + piece.length <= lines.length; index += 1) {
    const here = dedent(lines.slice(index, index + piece.length).join('\n'), { keepBlank: true })
    if (here.length === piece.length && here.every((line, offset) => line === piece[offset])) return index
  }
  return -1
}

function dedent(text: string, { keepBlank = false } = {}): string[] {
  const lines = text.split('\n').map((line) => line.trimEnd())
  if (!keepBlank) {
    while (lines[0] === '') lines.shift()
    while (lines.at(-1) === '') lines.pop()
  }
  const indents = lines.filter(Boolean).map((line) => line.length - line.trimStart().length)
  const indent = Math.min(...indents)
  return lines.map((line) => line.slice(indent))
}
