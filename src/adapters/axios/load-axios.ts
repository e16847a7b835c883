import type { AxiosStatic } from 'axios'

/** The first one whose fetch adapter takes a fetch. */
const FIRST = [1, 12] as const

/** @throws {Error} where axios is missing or too old, with the remedy */
export async function loadAxios(
  load: () => Promise<{ readonly default: AxiosStatic }> = () => import('axios'),
): Promise<AxiosStatic> {
  const { default: axios } = await load().catch((cause: unknown) => {
    throw new Error('holdfast/axios needs axios: npm i axios', { cause })
  })
  const [major = 0, minor = 0] = axios.VERSION.split('.').map(Number)
  if (major > FIRST[0] || (major === FIRST[0] && minor >= FIRST[1])) return axios
  throw new Error(`holdfast/axios needs axios ${FIRST.join('.')} or later, got ${axios.VERSION}: npm i axios`)
}
