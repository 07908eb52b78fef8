/** What a region hands to one that joins: where the database is, and the key that opens the secrets. Pure. */
import { BedplateError } from '../errors.ts'
import type { RegionNeeds } from './enrol-schema.ts'

/** This installation as a region of it knows it. `embedded`: the database is this region's own, and without `database` nobody else reaches it. */
export interface Installation { readonly database?: RegionNeeds['database'], readonly secretKey: string, readonly embedded?: boolean }

/** True for a database host that is another server, or none, on every other host: loopback, every address there is, or the folder of a socket. */
export function onlyHere (host: string): boolean {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : /^[^:]*:\d+$/.test(host) ? host.slice(0, host.indexOf(':')) : host
  return ['', '*', '::', '::1', '0.0.0.0'].includes(name) || name.startsWith('/') || /^localhost(\.|$)/i.test(name) || /^(::ffff:)?127\./i.test(name)
}

/**
 * What a joining region needs. `hosts`: where it reaches the database itself, if it knows better.
 * @throws BedplateError ENROLMENT_REFUSED when another host could not reach the database, with what to do
 */
export function needsOf (installation: Installation | undefined, hostname: string, hosts: readonly string[] | undefined): RegionNeeds {
  const refuse = (reason: string) => new BedplateError('ENROLMENT_REFUSED', { reason })
  if (installation === undefined) throw refuse('this region cannot let others in')
  const { database, secretKey, embedded = false } = installation
  if (database === undefined) throw refuse(`the database of this installation is the one embedded in ${hostname}, which only that host reaches. Move it to PostgreSQL servers of your own (docs/guides/database-ha.md), or set embedded.listen there to an address of that host and start it again; then join with the same token`)
  const setting = embedded ? 'embedded.listen' : 'database.hosts'
  const told = hosts ?? database.hosts
  const useless = told.filter(onlyHere)
  if (hosts === undefined && useless.length > 0) throw refuse(`${setting} of ${hostname} names ${useless.join(', ')}, which on another host is another server or none. Give an address that every region reaches: in ${setting} there, or here with --database-host. The token is still good`)
  return { database: { ...database, hosts: [...told] }, secretKey }
}
