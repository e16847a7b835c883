/** Run in a process of its own: says how many milliseconds the import of its arguments takes there. */
const modules = process.argv.slice(2)
const startMs = performance.now()
for (const module of modules) await import(module)
// Before `process.stdout` is looked up, which takes 3 ms the first time.
const tookMs = performance.now() - startMs
process.stdout.write(String(tookMs))
