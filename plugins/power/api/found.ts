/** /api/v1/power/scans and /found: looking for BMCs in a range, and those that were found. Credentials go in and never come out. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isIP } from 'node:net'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Clock, Database, Secrets } from '../../../core/plugin.ts'
import { parseRange, sizeOf } from '../range.ts'
import { scanSealedAs } from '../region/found-scans.ts'
import * as store from '../store/found.ts'

export interface FoundOptions { readonly db: Database, readonly clock: Clock, readonly secrets: Secrets }

const Text = Type.String()
const Maybe = Type.Union([Text, Type.Null()])
const ById = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,17}$' }) })
const ScanView = Type.Object({
  id: Text, range: Text, state: Type.Enum(['running', 'done', 'failed', 'cancelled']), addresses: Type.Integer({ description: 'how many there are' }), looked: Type.Integer({ description: 'how many were looked at' }),
  found: Type.Integer({ description: 'how many BMCs it was the last to find' }), error: Type.Union([Text, Type.Null()], { description: 'what could not be looked at, and why' }), createdAt: Text, finishedAt: Maybe
})
const FoundView = Type.Object({
  host: Text, driver: Text, address: Type.String({ description: 'what to configure it by' }), tls: Type.Union([Text, Type.Null()], { description: 'its certificate\'s fingerprint' }), uuid: Type.Union([Text, Type.Null()], { description: 'its machine\'s' }),
  vendor: Maybe, model: Maybe, serial: Maybe, credentials: Type.Boolean({ description: 'whether it took the credentials of a scan' }), problem: Type.Union([Text, Type.Null()], { description: 'why it could not be asked whose it is' }),
  rack: Text, machines: Type.Array(Text, { description: 'ids of the machines powered by it' }), seenAt: Text
})
const Wish = Type.Object({
  range: Type.String({ minLength: 1, maxLength: 100, description: '10.0.0.0/24, 10.0.0.10-10.0.0.99 or one address; IPv4, 65,536 addresses at most' }),
  user: Type.Optional(Type.String({ maxLength: 128, description: 'to ask each BMC whose it is' })), password: Type.Optional(Type.String({ maxLength: 256, writeOnly: true }))
})

const scanView = ({ secrets: _, chunks: _done, createdAt, finishedAt, ...scan }: store.Scan): Static<typeof ScanView> => ({ ...scan, createdAt: createdAt.toISOString(), finishedAt: finishedAt?.toISOString() ?? null })
const foundView = ({ secrets, seenAt, machines, ...found }: store.FoundRow): Static<typeof FoundView> => ({ ...found, credentials: secrets !== null, machines: [...machines], seenAt: seenAt.toISOString() })
const addressIn = (text: string): string => {
  if (isIP(text) === 0 || text.includes('%')) throw new BedplateError('INVALID_REQUEST', { reason: 'this is no IP address' })
  return text
}

export const foundRoutes = ({ db, clock, secrets }: FoundOptions): FastifyPluginAsyncTypebox => async app => {
  const known = async (id: string): Promise<store.Scan> => {
    const scan = await store.scan(db, id)
    if (scan === undefined) throw new BedplateError('NOT_FOUND', { what: 'scan', id })
    return scan
  }

  app.post('/scans', { schema: { summary: 'Look for BMCs in a range of addresses', body: Wish, response: { 202: ScanView } } }, async ({ body }, reply) => {
    const { range, user, password } = body
    const addresses = sizeOf(parseRange(range))
    if ((user === undefined) !== (password === undefined)) throw new BedplateError('INVALID_REQUEST', { reason: 'user and password go together' })
    const id = await db.tx(async tx => {
      const made = await store.insertScan(tx, range.trim(), addresses, own => user === undefined ? null : secrets.seal(JSON.stringify({ user, password }), scanSealedAs(own)), new Date(clock.now()))
      await tx.changed('power.scan', made)
      return made
    })
    return reply.code(202).header('location', `/api/v1/power/scans/${id}`).send(scanView(await known(id)))
  })
  app.get('/scans', { schema: { summary: 'The last scans, newest first', querystring: app.pageQuery, response: { 200: app.pageOf(ScanView) } } }, async ({ query: { limit, after } }) => {
    const rows = await store.scans(db, { limit: limit + 1, before: after !== undefined && /^[1-9]\d{0,17}$/.test(after) ? after : undefined })
    const last = rows[limit - 1]
    return { items: rows.slice(0, limit).map(scanView), ...rows.length > limit && last !== undefined ? { next: last.id } : {} }
  })
  app.get('/scans/:id', { schema: { summary: 'How far a scan is', params: ById, response: { 200: ScanView } } }, async ({ params }) => scanView(await known(params.id)))
  app.delete('/scans/:id', { schema: { summary: 'Call a scan off; what it has found stays', params: ById, response: { 200: ScanView } } }, async ({ params: { id } }) => {
    await known(id)
    await db.tx(async tx => { if (await store.endScan(tx, id, 'cancelled', new Date(clock.now()))) await tx.changed('power.scan', id) })
    return scanView(await known(id))
  })

  app.get('/found', { schema: { summary: 'The BMCs that scans have found, in the order of addresses', querystring: app.pageQuery, response: { 200: app.pageOf(FoundView) } } }, async ({ query: { limit, after } }) => {
    const [host, driver] = after?.split(' ') ?? []
    const rows = await store.listFound(db, { limit: limit + 1, driver, host: host === undefined ? undefined : addressIn(host) })
    const last = rows[limit - 1]
    return { items: rows.slice(0, limit).map(foundView), ...rows.length > limit && last !== undefined ? { next: `${last.host} ${last.driver}` } : {} }
  })
  app.delete('/found/:host', { schema: { summary: 'Forget a BMC that was found, with its credentials', params: Type.Object({ host: Type.String({ maxLength: 64, description: 'IP address' }) }), response: { 204: Type.Null() } } }, async ({ params: { host } }, reply) => {
    await db.tx(async tx => {
      if (!await store.dropFound(tx, addressIn(host))) throw new BedplateError('NOT_FOUND', { what: 'found BMC', id: host })
      await tx.changed('power.found', host)
    })
    return reply.code(204).send(null)
  })
}
