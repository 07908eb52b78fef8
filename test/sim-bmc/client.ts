/** Asks a simulated BMC by HTTP, for tests. */
import { Agent, request as secureRequest } from 'node:https'
import { request as plainRequest } from 'node:http'
import type { Bmc } from '../../sim/bmc/bmc.ts'

export interface Answer { readonly status: number, readonly headers: Readonly<Record<string, string | string[] | undefined>>, readonly text: string, readonly body: any }
export type Ask = (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<Answer>

/** Logs in by Basic unless other headers are given. Any certificate will do. */
export function asking (bmc: Bmc): Ask {
  const { user, password } = bmc.account
  const url = bmc.redfish?.url ?? ''
  const secure = url.startsWith('https')
  const agent = secure ? { agent: new Agent({ rejectUnauthorized: false }) } : {}
  return (method, path, body, headers = { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }) => new Promise((resolve, reject) => {
    const content = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    const asked = (secure ? secureRequest : plainRequest)(`${url}${path}`, { ...agent, method, headers: { ...content === undefined ? {} : { 'content-type': 'application/json' }, ...headers } }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => { text += part }).on('error', reject).on('end', () => {
        let parsed: unknown
        try { parsed = JSON.parse(text) } catch { parsed = undefined }
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, body: parsed })
      })
    })
    asked.on('error', reject).end(content)
  })
}
