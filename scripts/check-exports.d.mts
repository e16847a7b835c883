/** What is wrong between `exports`, `bin` and `dist` of the package in `root`, a sentence each. */
export declare function checkExports(root: string): string[]
/** Takes declarations out of `dist` that no entry's declarations name. */
export declare function removeUnreachedDeclarations(root: string): void
