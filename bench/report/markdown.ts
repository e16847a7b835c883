/** A table in Markdown. @param numbers Whether the last column is one of figures. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { numbers = false }: { readonly numbers?: boolean } = {},
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = head.map((_, index) => (numbers && index > 0 && index === head.length - 1 ? '---:' : '---'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

const END = '<!-- The end of what was made. -->'

/** A page whose part between the line `begin` and its end is made anew; the rest stays as it is. */
export function withMadePart(page: string, begin: string, part: string): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`the page has no part ${begin} ... ${END}`)
  return `${before}${begin}\n\n${part}\n\n${END}${after}`
}
