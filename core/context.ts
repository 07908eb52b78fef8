/** What a half is given: exactly what its role has, and clients that turn a method's name into a call. */
import type { CallOptions, Client, Manifest, RackContext, RegionContext, Role, Tokens } from './plugin.ts'
import type { Database } from './database/database.ts'
import type { RackEnd, RegionEnd } from './rpc/ends.ts'
import type { Secrets } from './secrets.ts'

type Region = RegionContext<Manifest, Tokens>
type Rack = RackContext<Manifest, Tokens>
type Common = Pick<Region & Rack, 'config' | 'deps' | 'hooks' | 'log' | 'clock' | 'metrics' | 'controller'>

/** A region half's context: the database, secrets, and every rack's methods. */
export function regionContext (manifest: Manifest, common: Common, { db, secrets, end }: { db: Database, secrets: Secrets, end: RegionEnd }): Region {
  return Object.freeze({
    ...common,
    db,
    secrets,
    rack: (id: string) => clientOf(manifest, 'rack', (method, params, options) => end.call(id, manifest.name, method, params, options)),
    racks: () => end.racks()
  })
}

/** A rack half's context: the region's methods and the outbox. No database. */
export function rackContext (manifest: Manifest, common: Common, end: RackEnd): Rack {
  return Object.freeze({
    ...common,
    region: clientOf(manifest, 'region', (method, params, options) => end.call(manifest.name, method, params, options)),
    report: (kind: string, body: unknown) => end.report(manifest.name, kind, body)
  })
}

type Call = (method: string, params: unknown, options?: CallOptions) => Promise<unknown>

/** One function for each method that role answers. The ends check parameters and results against the manifest. */
export function clientOf<R extends Role> (manifest: Manifest, role: R, call: Call): Client<R, Manifest['rpc']> {
  const methods = Object.entries(manifest.rpc).filter(([, method]) => method.answeredBy === role)
  return Object.freeze(Object.fromEntries(methods.map(([name]) => [name, (params: unknown, options?: CallOptions) => call(name, params, options)]))) as Client<R, Manifest['rpc']>
}
