interface Named {
  readonly id?: string
  readonly name: string
}

/** For `test.each` with the title '%s', which shows a name in full. */
export function named<T extends Named>(cases: readonly T[]): [title: string, subject: T][] {
  return cases.map((subject) => [[subject.id, subject.name].filter(Boolean).join(': '), subject])
}
