/** A library that may not be there. The name is a variable, so that no bundler takes it for a dependency. */
export async function importLibrary(name: string): Promise<Record<string, unknown> | undefined> {
  try {
    const library: Record<string, unknown> = await import(name)
    return library
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Not installed, or not built into this runtime. Anything else went wrong inside the library and has to be seen. */
function isMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return (
    error.code === 'ERR_MODULE_NOT_FOUND' ||
    error.code === 'MODULE_NOT_FOUND' ||
    error.code === 'ERR_UNKNOWN_BUILTIN_MODULE'
  )
}
