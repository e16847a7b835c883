/** What is wrong with the configuration, and where: it ends the process before it has done anything. */
export class RegisterError extends Error {
  override readonly name = 'RegisterError'

  constructor(message: string, options?: ErrorOptions) {
    super(`holdfast/register: ${message}`, options)
  }
}
