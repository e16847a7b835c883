/** Key and name in one header-safe value; the name is the application's and may hold anything. */
export function downstreamKeyFrom(id: string, name: string): string {
  return `${id}-${encodeURIComponent(name)}`
}
