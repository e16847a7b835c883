import Anthropic from '@anthropic-ai/sdk'
import { defineSdk, type Sdk } from '../sdk.ts'

export const anthropic: Sdk = defineSdk({
  name: '@anthropic-ai/sdk',
  api: () => Response.json({ id: 'o-17', content: [] }),
  plugged: (fetch, url) =>
    new Anthropic({
      apiKey: 'sk-17',
      fetch,
      maxRetries: 0,
      baseURL: url,
    }),
  asItComes: (fetch, url) => new Anthropic({ apiKey: 'sk-17', fetch, baseURL: url }),
  ownAttempts: 3,
  errorIn: 'error.cause',
  read: async (client) => (await client.models.retrieve('o-17')).id,
  write: async (client) => {
    const messages = [{ role: 'user' as const, content: 'Which anchor holds best?' }]
    return (await client.messages.create({ model: 'claude', max_tokens: 17, messages })).id
  },
})
