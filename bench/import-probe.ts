/** Run in a process of its own: says how many milliseconds the import of its arguments takes there. */
const modules = process.argv.slice(2)
const startMs = performance.now()
for (const module of modules) await import(module)
process.stdout.write(String(performance.now() - startMs))
