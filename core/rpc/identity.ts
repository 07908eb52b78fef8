/** Who this controller is, on its disk: key, certificate, authority, and the regions it has heard of. */
import { X509Certificate } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../errors.ts'
import type { Frames } from './frames.ts'
import { controllerOf, makeKey } from './certificate.ts'

export interface Identity { readonly key: string, readonly certificate: string, readonly authority: string } // PEM
export type KnownRegions = Frames['regions']['regions']

export interface IdentityStore {
  readonly directory: string
  /** The key, made on first use. */
  key(): Promise<string>
  /** Undefined when this controller has not enrolled. */
  load(): Promise<Identity | undefined>
  save(certificate: string, authority: string): Promise<Identity>
  regions(): Promise<KnownRegions>
  /** Without `removed`, what was known of removed controllers stays. */
  saveRegions(regions: KnownRegions, removed?: readonly string[]): Promise<void>
  /** Ids of controllers whose certificates count for nothing any more. */
  removed(): Promise<readonly string[]>
}

/** Writes a file so that it is there whole, synced and readable by its owner only, or not at all. */
async function write (directory: string, name: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const part = join(directory, `${name}.part`)
  const file = await open(part, 'w', 0o600)
  try { await file.chmod(0o600); await file.writeFile(text); await file.sync() } finally { await file.close() }
  await rename(part, join(directory, name))
  const folder = await open(directory, 'r')
  try { await folder.sync() } finally { await folder.close() }
}

/** The identity of the controller with this data directory. */
export function createIdentityStore (dataDirectory: string): IdentityStore {
  const directory = join(dataDirectory, 'identity')
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return await readFile(join(directory, name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  let making: Promise<string> | undefined
  async function key (): Promise<string> {
    const kept = await read('key.pem')
    if (kept !== undefined) return kept
    const made = makeKey()
    await write(directory, 'key.pem', made)
    return made
  }
  return {
    directory,
    key: () => making ??= key().finally(() => { making = undefined }),
    async load () {
      const [kept, certificate, authority] = await Promise.all([read('key.pem'), read('certificate.pem'), read('authority.pem')])
      return kept === undefined || certificate === undefined || authority === undefined ? undefined : { key: kept, certificate, authority }
    },
    async save (certificate, authority) {
      await write(directory, 'authority.pem', authority)
      await write(directory, 'certificate.pem', certificate) // last: with it the identity is complete
      return { key: await key(), certificate, authority }
    },
    async regions () {
      try {
        const kept: unknown = JSON.parse(await read('regions.json') ?? '[]')
        return Array.isArray(kept) ? kept as KnownRegions : []
      } catch { return [] } // a list that will be sent again
    },
    async saveRegions (regions, removed) {
      if (removed !== undefined) await write(directory, 'removed.json', `${JSON.stringify(removed)}\n`)
      await write(directory, 'regions.json', `${JSON.stringify(regions, null, 2)}\n`)
    },
    async removed () {
      try {
        const kept: unknown = JSON.parse(await read('removed.json') ?? '[]')
        return Array.isArray(kept) ? kept.filter(id => typeof id === 'string') : []
      } catch { return [] } // as above
    }
  }
}

/** What is wrong with an identity as that of `controller` now; undefined when it can be used. */
export function faultOf (identity: Identity, controller: string, now: number): string | undefined {
  try {
    const certificate = new X509Certificate(identity.certificate)
    if (controllerOf(certificate) !== controller) return `the certificate belongs to ${controllerOf(certificate) ?? 'nobody'}, not to ${controller}`
    if (certificate.validToDate.getTime() < now) return `the certificate ran out on ${certificate.validTo}`
    if (certificate.validFromDate.getTime() > now) return `the certificate begins only on ${certificate.validFrom}: is this host's clock right?`
    return certificate.verify(new X509Certificate(identity.authority).publicKey) ? undefined : 'the certificate is not of the authority beside it'
  } catch (error) {
    return `it cannot be read (${reasonOf(error)})`
  }
}
