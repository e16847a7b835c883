import OpenAI from 'openai'
import { defineSdk, type Sdk } from '../sdk.ts'

export const openai: Sdk = defineSdk({
  name: 'openai',
  api: () => Response.json({ id: 'o-17', choices: [] }),
  plugged: (fetch, url) =>
    new OpenAI({
      apiKey: 'sk-17',
      fetch,
      maxRetries: 0,
      baseURL: url,
    }),
  asItComes: (fetch, url) => new OpenAI({ apiKey: 'sk-17', fetch, baseURL: url }),
  ownAttempts: 3,
  errorIn: 'error.cause',
  read: async (client) => (await client.models.retrieve('o-17')).id,
  write: async (client) => {
    const messages = [{ role: 'user' as const, content: 'Which anchor holds best?' }]
    return (await client.chat.completions.create({ model: 'gpt', messages })).id
  },
})
