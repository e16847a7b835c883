/** Reads a body to its end, so that the connection can be used again. What the status said stays true if it breaks. */
export async function drain(response: Response): Promise<void> {
  await response.arrayBuffer().catch(() => {})
}
