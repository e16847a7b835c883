/** Where in a request's life a server can be made to die or to stand still, in the order of that life. */
export const POINTS = [
  'acquiring',
  'acquired',
  'before effect',
  'after effect',
  'before recording',
  'recording',
  'recorded',
  'responded',
] as const

export type Point = (typeof POINTS)[number]

/** Points at which a call to the store is under way; for these a moment passes before the blow. */
export const UNDER_WAY: ReadonlySet<Point> = new Set<Point>(['acquiring', 'recording'])
