/** What is wrong between `exports`, `bin` and `dist` of the package in `root`, a sentence each. */
export declare function checkExports(root: string): string[]
