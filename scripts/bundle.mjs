/**
 * The code of `dist`: a file for every entry of the package, and what they share in few files. Node reads and links
 * each file by itself: as one file a module, `import 'holdfast'` takes four times as long.
 */
import { rolldown } from 'rolldown'

/** Opened by its URL, from code that is shared: it lies beside that, as in the sources. */
const processes = { 'chunks/serve': 'src/cli/demo/api/serve.ts' }

/**
 * @param {string} root The folder with the package.json.
 * @param {{ exports: Record<string, string | { default: string }>, bin: Record<string, string> }} manifest
 */
export async function bundle(root, manifest) {
  const published = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target.default],
  )
  const entries = [...published, ...Object.values(manifest.bin)].map((target) => [
    target.replace('./dist/', '').replace(/\.js$/, ''),
    target.replace('./dist/', 'src/').replace(/\.js$/, '.ts'),
  ])
  const input = { ...Object.fromEntries(entries), ...processes }
  const build = await open(root, { input })
  await build.write({
    dir: `${root}dist`,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    // Docs are in the declarations: without them here the root is read in four fifths of the time.
    comments: { jsdoc: false, annotation: true, legal: true },
    codeSplitting: { groups: await sharedFiles(root) },
  })
  await build.close()
}

/**
 * What the root loads, in three files: an application's bundler leaves out the client where only policies are used, and
 * the policies that are off by default until a call needs them.
 *
 * @param {string} root
 */
async function sharedFiles(root) {
  const always = await reached(root, `export { createFetch } from '${root}src/index.ts'`)
  const all = await reached(root, `export * from '${root}src/index.ts'`)
  /** @type {(id: string) => boolean} */
  const isOfClient = (id) => /\/src\/(?:client|http)\//.test(id)
  return [
    // A group takes what its modules import along, so what lies deepest comes first.
    { name: 'core', test: (/** @type {string} */ id) => always.has(id) && !isOfClient(id) },
    { name: 'policies', test: (/** @type {string} */ id) => all.has(id) && !always.has(id) },
    { name: 'client', test: (/** @type {string} */ id) => all.has(id) || id === `${root}src/index.ts` },
  ]
}

/**
 * The modules that `code` loads at once.
 *
 * @param {string} root
 * @param {string} code
 * @returns {Promise<Set<string>>}
 */
async function reached(root, code) {
  const entry = 'virtual:entry'
  const build = await open(root, {
    input: { entry },
    preserveEntrySignatures: 'allow-extension',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? code : undefined),
      },
    ],
  })
  const { output } = await build.generate()
  await build.close()
  const chunks = output.filter((file) => file.type === 'chunk')
  const initial = new Set(chunks.filter(({ isEntry }) => isEntry))
  // A set iterates over what is added to it meanwhile.
  for (const { imports } of initial)
    for (const each of imports) {
      const chunk = chunks.find(({ fileName }) => fileName === each)
      if (chunk !== undefined) initial.add(chunk)
    }
  return new Set([...initial].flatMap(({ moduleIds }) => moduleIds))
}

/**
 * @param {string} root
 * @param {import('rolldown').InputOptions} options
 */
function open(root, options) {
  return rolldown({
    cwd: root,
    platform: 'neutral',
    external: (id) => !/^(?:[./]|src\/|virtual:)/.test(id),
    // What is loaded when it is needed here, others import at once: that is meant.
    checks: { ineffectiveDynamicImport: false },
    ...options,
  })
}
