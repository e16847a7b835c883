export interface Import {
  /** As it is written: `./clock.ts`, `node:http`, `commander`. */
  readonly specifier: string
  /** The import brings only types and is gone at run time. */
  readonly typeOnly: boolean
  readonly line: number
}

export declare function importsOf(file: string): Import[]
export declare function isRelative(specifier: string): boolean
export declare function resolveRelative(importer: string, specifier: string): string | undefined
