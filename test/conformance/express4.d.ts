/** Express 4 has no types of its own here; what the tests use of it is in both. */
declare module 'express4' {
  import express from 'express'
  export default express
}
