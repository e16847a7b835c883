import type { Sdk } from '../sdk.ts'
import { anthropic } from './anthropic.ts'
import { apollo } from './apollo.ts'
import { graphqlRequest } from './graphql-request.ts'
import { heyApi } from './hey-api.ts'
import { kyClient } from './ky.ts'
import { octokit } from './octokit.ts'
import { ofetch } from './ofetch.ts'
import { openai } from './openai.ts'
import { openapiFetch } from './openapi-fetch.ts'
import { stripe } from './stripe.ts'
import { supabase } from './supabase.ts'
import { trpc } from './trpc.ts'

export const sdks: readonly Sdk[] = [
  stripe,
  openai,
  anthropic,
  octokit,
  supabase,
  openapiFetch,
  heyApi,
  graphqlRequest,
  apollo,
  trpc,
  kyClient,
  ofetch,
]
