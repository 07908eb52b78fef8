/** Whether a Redfish service answers at an address: its root, which DSP0266 (6.3) lets everybody read. No credentials are sent. */
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'

/** `tls`: the certificate it was seen with. Vendor and product as it says. */
export interface RedfishRoot { readonly vendor: string | null, readonly product: string | null, readonly tls: string }

const largest = 262_144 // bytes; a root has a few thousand
const line = (value: unknown): string | null => typeof value === 'string' ? value.replace(/\p{Cc}+/gu, ' ').trim().slice(0, 200).toWellFormed() || null : null

/** A service root says which protocol it is (`RedfishVersion`, `@odata.type`), with whatever else; anything else is no BMC. Pure. */
export function rootFrom (text: string): Pick<RedfishRoot, 'vendor' | 'product'> | undefined {
  let body: unknown
  try { body = JSON.parse(text) } catch { return undefined }
  if (typeof body !== 'object' || body === null) return undefined
  const { RedfishVersion, '@odata.type': type, Vendor, Product, Name } = body as Readonly<Record<string, unknown>>
  if (typeof RedfishVersion !== 'string' && !(typeof type === 'string' && type.startsWith('#ServiceRoot.'))) return undefined
  return { vendor: line(Vendor), product: line(Product) ?? line(Name) }
}

/** undefined when nothing answers there within `timeout` ms, or what answers is no Redfish. Never rejects. */
export const lookForRedfish = (host: string, port: number, { timeout, signal }: { readonly timeout: number, readonly signal: AbortSignal }): Promise<RedfishRoot | undefined> => new Promise(resolve => {
  const asked = request({
    host, port, path: '/redfish/v1/', agent: false, rejectUnauthorized: false, headers: { accept: 'application/json', 'odata-version': '4.0', connection: 'close' }, signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  }, answer => {
    const fingerprint = (answer.socket as TLSSocket).getPeerCertificate().fingerprint256?.replaceAll(':', '').toLowerCase() ?? ''
    let text = ''
    answer.setEncoding('utf8')
    answer.on('data', (part: string) => {
      text += part
      if (text.length > largest) answer.destroy()
    })
    answer.on('end', () => {
      const root = answer.statusCode === 200 ? rootFrom(text) : undefined
      resolve(root === undefined ? undefined : { ...root, tls: `sha256:${fingerprint}` })
    })
    answer.on('close', () => { resolve(undefined) })
    answer.on('error', () => { resolve(undefined) })
  })
  asked.on('error', () => { resolve(undefined) })
  asked.end()
})
