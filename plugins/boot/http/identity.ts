/** What the rack shows to firmware over TLS, on its disk: a key of its own, and the certificate the region's authority made for it. */
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'

export interface Shown { readonly key: string, readonly certificate: string, readonly authority: string } // PEM

/** A key on P-256: the curve that firmware's TLS takes, if it takes any. */
const makeKey = (): string => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
export const publicKeyOf = (key: string): string => createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string

/** Why it cannot be shown at these addresses now; undefined when it can. Pure. */
export function faultOf ({ key, certificate, authority }: Shown, addresses: readonly string[], now: number): string | undefined {
  try {
    const read = new X509Certificate(certificate)
    const from = read.validFromDate.getTime()
    const to = read.validToDate.getTime()
    if (!read.checkPrivateKey(createPrivateKey(key))) return 'it belongs to another key'
    if (!read.verify(new X509Certificate(authority).publicKey)) return 'it is not of the authority beside it'
    if (now < from || now > from + (to - from) * 2 / 3) return `it is good from ${read.validFrom} to ${read.validTo}, and two thirds of that are over`
    const missing = addresses.find(address => read.checkIP(address) === undefined)
    return missing === undefined ? undefined : `it does not name ${missing}`
  } catch (error) {
    return `it cannot be read (${error instanceof Error ? error.message : String(error)})`
  }
}

/** True while a client may take it, though it is to be renewed. Pure. */
export function isGood ({ certificate }: Shown, now: number): boolean {
  try {
    const { validFromDate, validToDate } = new X509Certificate(certificate)
    return now >= validFromDate.getTime() && now < validToDate.getTime()
  } catch { return false }
}

export interface ShownStore {
  /** The key, made on first use. */
  key(): Promise<string>
  load(): Promise<Shown | undefined>
  save(certificate: string, authority: string): Promise<Shown>
}

export function createShownStore (directory: string): ShownStore {
  const read = (name: string): Promise<string | undefined> => readFile(join(directory, name), 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return undefined; throw error })
  async function write (name: string, text: string): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = await open(join(directory, `${name}.part`), 'w', 0o600)
    try { await file.writeFile(text); await file.sync() } finally { await file.close() }
    await rename(join(directory, `${name}.part`), join(directory, name))
  }
  async function key (): Promise<string> {
    const kept = await read('key.pem')
    if (kept !== undefined) return kept
    const made = makeKey()
    await write('key.pem', made)
    return made
  }
  return {
    key,
    async load () {
      const [kept, certificate, authority] = await Promise.all([read('key.pem'), read('certificate.pem'), read('authority.pem')])
      return kept === undefined || certificate === undefined || authority === undefined ? undefined : { key: kept, certificate, authority }
    },
    async save (certificate, authority) {
      await write('authority.pem', authority)
      await write('certificate.pem', certificate)
      return { key: await key(), certificate, authority }
    }
  }
}
