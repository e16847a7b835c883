/** Tables without lines or boxes: what stands in them is the picture. */
export const NO_FRAME: Readonly<Record<string, string>> = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((edge) => [
      edge,
      `${edge}-mid`,
      `${edge}-left`,
      `${edge}-right`,
      `left-${edge}`,
      `right-${edge}`,
    ])
    .map((edge) => [edge, '']),
)

export const withoutTrailingBlanks = (text: string): string => text.replaceAll(/ +$/gm, '')
