/** The first run: an account "admin" with one token, made once however many regions start, and kept where this host's command line finds it. */
import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Database, Logger } from '../../core/plugin.ts'
import { hashOf, newSecret } from './secret.ts'
import { countAccounts, insertAccount, insertToken, isKnown, lockAccess } from './store.ts'

/**
 * Makes the first token unless there is an account. It is on disk (`admin.token`, mode 0600) before it is in the
 * database, so a crash in between loses nothing: the next start finds the draft and, if its token counts, puts it in place.
 * START_FAILED when the file cannot be written.
 */
export async function ensureFirstToken (db: Database, directory: string, log: Logger): Promise<void> {
  const path = join(directory, 'admin.token')
  const draft = `${path}.draft`
  const left = await readFile(draft, 'utf8').catch(() => undefined)
  if (left !== undefined) {
    if (await isKnown(db, hashOf(left.trim()))) await rename(draft, path)
    else await rm(draft, { force: true })
  }
  if (await countAccounts(db) > 0) return

  const secret = newSecret()
  const own = `${draft}.${randomUUID()}`
  try {
    await writeFile(own, `${secret.text}\n`, { mode: 0o600, flush: true })
    await rename(own, draft)
  } catch (cause) {
    throw new BedplateError('START_FAILED', { what: 'The first admin token', reason: `${path} cannot be written: ${reasonOf(cause)}` }, cause)
  }
  const made = await db.tx(async tx => {
    await lockAccess(tx)
    if (await countAccounts(tx) > 0) return false // another region was first
    await insertToken(tx, { accountId: await insertAccount(tx, 'admin'), name: 'first', prefix: secret.prefix, hash: secret.hash, scopes: ['read', 'write', 'admin'], expiresAt: null })
    await tx.changed('access.token', 'first')
    return true
  })
  if (!made) { await unlink(draft); return }
  await rename(draft, path)
  log.warn({ file: path }, `This is the first start. The admin token is ${secret.text} — it is shown this once; it is also in ${path}, readable by this user only.`)
}
