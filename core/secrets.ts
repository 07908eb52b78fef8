/** Sealing of credentials at rest: AES-256-GCM under a key that lives beside the data, never in the database. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BedplateError } from './errors.ts'

export interface Secrets {
  /** `context` (for example `power/<machine>`) is bound in: a sealed text moved to another place does not open. */
  seal(plain: string, context: string): string
  /** Throws SECRET_UNREADABLE when the text was sealed under another key or context, or was altered. */
  open(sealed: string, context: string): string
}

/** Secrets under a 32-byte key. */
export const createSecrets = (key: Buffer): Secrets => ({
  seal (plain, context) {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return `v1.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`
  },
  open (sealed, context) {
    try {
      if (!sealed.startsWith('v1.')) throw new TypeError('unknown form')
      const raw = Buffer.from(sealed.slice(3), 'base64url')
      const cipher = createDecipheriv('aes-256-gcm', key, raw.subarray(0, 12)).setAAD(Buffer.from(context)).setAuthTag(raw.subarray(12, 28))
      return Buffer.concat([cipher.update(raw.subarray(28)), cipher.final()]).toString('utf8')
    } catch (cause) {
      throw new BedplateError('SECRET_UNREADABLE', { context }, cause)
    }
  }
})

/** Reads the key file, or makes it (mode 0600) on first use. `wx` makes two starts agree on one key. */
export async function loadSecretKey (path: string): Promise<Buffer> {
  await mkdir(dirname(path), { recursive: true })
  try {
    const file = await open(path, 'wx', 0o600)
    try { await file.writeFile(randomBytes(32).toString('hex')); await file.sync() } finally { await file.close() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return Buffer.from((await readFile(path, 'utf8')).trim(), 'hex')
}
