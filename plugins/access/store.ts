/** All SQL of access: accounts, tokens, audit records. */
import type { Query, Tx } from '../../core/plugin.ts'

export type Scope = 'read' | 'write' | 'admin'
export interface Known { readonly id: string, readonly name: string, readonly account: string, readonly scopes: readonly Scope[], readonly expiresAt: Date | null }
export interface Token extends Known { readonly prefix: string, readonly createdAt: Date, readonly usedAt: Date | null }
export interface NewToken { readonly accountId: string, readonly name: string, readonly prefix: string, readonly hash: Buffer, readonly scopes: readonly Scope[], readonly expiresAt: Date | null }
export interface AuditRecord { readonly id: string, readonly at: Date, readonly principal: string | null, readonly tokenId: string | null, readonly method: string, readonly url: string, readonly status: number, readonly requestId: string }

export const isId = (text: string): boolean => /^[1-9]\d{0,17}$/.test(text)
const known = 't.id::text, t.name, a.name as account, t.scopes, t.expires_at as "expiresAt"'
const columns = `${known}, t.prefix, t.created_at as "createdAt", t.used_at as "usedAt"`

/** The unexpired token with that hash; `stale` when its use was not noted for five minutes. */
export const knownToken = async (q: Query, hash: Buffer): Promise<Known & { readonly stale: boolean } | undefined> =>
  (await q.query<Known & { readonly stale: boolean }>(`select ${known}, t.used_at is null or t.used_at < now() - interval '5 minutes' as stale
    from access.token t join access.account a on a.id = t.account_id where t.hash = $1 and (t.expires_at is null or t.expires_at > now())`, [hash]))[0]
export const noteUse = (q: Query, hash: Buffer): Promise<unknown> =>
  q.query("update access.token set used_at = now() where hash = $1 and (used_at is null or used_at < now() - interval '5 minutes')", [hash])
export const isKnown = async (q: Query, hash: Buffer): Promise<boolean> => (await q.query('select 1 from access.token where hash = $1', [hash])).length > 0

export const listTokens = (q: Query, page: { readonly after?: string | undefined, readonly limit: number }): Promise<Token[]> =>
  q.query<Token>(`select ${columns} from access.token t join access.account a on a.id = t.account_id where t.id > $1 order by t.id limit $2`, [page.after !== undefined && isId(page.after) ? page.after : '0', page.limit])
export const findToken = async (q: Query, id: string): Promise<Token | undefined> =>
  isId(id) ? (await q.query<Token>(`select ${columns} from access.token t join access.account a on a.id = t.account_id where t.id = $1`, [id]))[0] : undefined
export const insertToken = async (tx: Tx, token: NewToken): Promise<string> =>
  (await tx.query<{ id: string }>('insert into access.token (account_id, name, prefix, hash, scopes, expires_at) values ($1, $2, $3, $4, $5, $6) returning id::text',
    [token.accountId, token.name, token.prefix, token.hash, token.scopes, token.expiresAt]))[0]!.id
export const deleteToken = (tx: Tx, id: string): Promise<unknown> => tx.query('delete from access.token where id = $1', [id])
/** Tokens other than `id` that can administer and do not expire. */
export const otherAdmins = async (tx: Tx, id: string): Promise<number> =>
  Number((await tx.query<{ n: string }>(`select count(*) as n from access.token where id <> $1 and 'admin' = any(scopes) and expires_at is null`, [id]))[0]?.n)
/** One change of accounts and tokens at a time, until the transaction ends. */
export const lockAccess = (tx: Tx): Promise<unknown> => tx.query(`select pg_advisory_xact_lock(hashtext('access'))`)

export const countAccounts = async (q: Query): Promise<number> => Number((await q.query<{ n: string }>('select count(*) as n from access.account'))[0]?.n)
export const accountNamed = async (q: Query, name: string): Promise<string | undefined> =>
  (await q.query<{ id: string }>('select id::text from access.account where name = $1', [name]))[0]?.id
export const insertAccount = async (tx: Tx, name: string): Promise<string> =>
  (await tx.query<{ id: string }>('insert into access.account (name) values ($1) returning id::text', [name]))[0]!.id

export const insertAudit = (q: Query, record: Omit<AuditRecord, 'id' | 'at'>): Promise<unknown> =>
  q.query('insert into access.audit (principal, token_id, method, url, status, request_id) values ($1, $2, $3, $4, $5, $6)',
    [record.principal, record.tokenId, record.method, record.url, record.status, record.requestId])
/** Newest first; `before` is the last id of the page before. */
export const listAudit = (q: Query, page: { readonly before?: string | undefined, readonly limit: number }): Promise<AuditRecord[]> =>
  q.query<AuditRecord>(`select id::text, at, principal, token_id::text as "tokenId", method, url, status, request_id as "requestId" from access.audit
    where ($1::bigint is null or id < $1) order by access.audit.id desc limit $2`, [page.before !== undefined && isId(page.before) ? page.before : null, page.limit])
