interface Runtime {
  readonly process?: { getBuiltinModule?(name: string): object | undefined }
}

/**
 * A module of Node's, asked for rather than imported: elsewhere than on Node, Deno and Bun there is no such module, and
 * what it would do is left out.
 */
export function builtin<Module extends object>(name: string): Partial<Module> | undefined {
  const { process } = globalThis as Runtime
  return process?.getBuiltinModule?.(`node:${name}`)
}
