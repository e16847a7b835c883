/**
 * The words behind a status, as far as a response can be constructed with them: servers send them in any language, and the
 * platform's constructor takes no letter beyond U+00FF (Fetch, 5.5). Nothing instead: they say nothing that the status
 * does not.
 */
export const reasonPhrase = (text: string): string => (/[^\t -~\x80-\xff]/.test(text) ? '' : text)
