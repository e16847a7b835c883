interface Answer {
  200: { content: { 'application/json': { id: string } } }
}

/** What openapi-typescript would make of a small API. */
export interface Paths {
  '/orders': {
    get: { responses: Answer }
    post: { requestBody: { content: { 'application/json': { item: string } } }; responses: Answer }
  }
}
