/** Region side of enrolment: gives certificates for one-time tokens, and new ones for old ones. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Static } from 'typebox'
import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import { BedplateError } from '../errors.ts'
import type { Role } from '../plugin.ts'
import type { Secrets } from '../secrets.ts'
import { versionFault } from '../version.ts'
import { authorityRow, controllerRoles, enrolController, enrolledController, lockToken, setCertificate, spendToken, storeToken } from '../state/registry.ts'
import { check } from './check.ts'
import { fingerprint, issue, issueServer, makeAuthority, readRequest, type Authority } from './certificate.ts'
import { EnrolRequest, type RegionNeeds } from './enrol-schema.ts'
import { needsOf, type Installation } from './needs.ts'
import { hashOf, makeToken, tokenText } from './token.ts'

/** What the authority's key is sealed under. */
export const authorityContext = 'core/authority'
const again = 'Make a new enrolment token on a region and start this controller with it'
const refuse = (reason: string) => new BedplateError('ENROLMENT_REFUSED', { reason })

export interface Enrolled { readonly controller: string, readonly certificate: string, readonly authority: string, readonly roles: readonly Role[], readonly version?: string, readonly region?: RegionNeeds }

export interface RegistrarOptions {
  readonly db: Database, readonly secrets: Secrets, readonly clock: Clock
  /** The region that answers, and what it can hand to another one. */
  readonly controller?: { readonly hostname: string, readonly version: string }
  readonly installation?: Installation
}

export interface Registrar {
  /** The authority of this installation, made by whichever region is first. Throws SECRET_UNREADABLE without the right key. */
  authority(): Promise<Authority>
  createToken(roles: readonly Role[], seconds: number): Promise<string>
  /** Throws ENROLMENT_REFUSED with a sentence that says what to do. */
  enrol(body: unknown): Promise<Enrolled>
  /** A new certificate for a controller that has one. */
  renew(controller: string, csr: string, addresses: readonly string[]): Promise<{ readonly certificate: string, readonly authority: string }>
  /** A certificate for what a rack serves to machines (issueServer). */
  server(rack: string, publicKey: string, addresses: readonly string[]): Promise<string>
}

/** Makes the registrar of one region end. */
export function createRegistrar (o: RegistrarOptions): Registrar {
  let known: Authority | undefined
  async function authority (): Promise<Authority> {
    if (known !== undefined) return known
    const row = await authorityRow(o.db, async () => {
      const made = await makeAuthority()
      return { certificate: made.certificate, sealed_key: o.secrets.seal(made.key, authorityContext) }
    })
    return known = { certificate: row.certificate, key: o.secrets.open(row.sealed_key, authorityContext) }
  }

  return {
    authority,
    async createToken (roles, seconds) {
      const token = makeToken(fingerprint((await authority()).certificate))
      await o.db.tx(tx => storeToken(tx, { id: token.id, secretSha256: hashOf(token.secret), roles, seconds })) // a transaction: the request's Idempotency-Key is marked in its commit
      return tokenText(token)
    },
    async enrol (body) {
      const fault = check(EnrolRequest, body)
      if (fault !== undefined) throw new BedplateError('INVALID_REQUEST', { reason: fault })
      const { token, csr, hostname, roles: wished, version, databaseHosts } = body as Static<typeof EnrolRequest>
      const { controller, request } = await readRequest(csr)
      const ca = await authority()
      const keySha256 = createHash('sha256').update(Buffer.from(request.publicKey.rawData)).digest('hex')
      const mine = o.controller?.version
      return await o.db.tx(async tx => {
        const row = await lockToken(tx, token.id)
        if (row === undefined || !timingSafeEqual(Buffer.from(hashOf(token.secret)), Buffer.from(row.secret_sha256))) throw refuse(`there is no such token. ${again}`)
        const before = await enrolledController(tx, controller)
        // One that never came back with its certificate may have crashed before it stored it, and asks again with the same key.
        const repeated = row.used_by === controller && row.used_key_sha256 === keySha256 && before?.linked !== true
        if (row.used_at !== null && !repeated) throw refuse(`this token was used already, by ${row.used_by ?? 'a controller'} on ${row.used_at.toISOString()}; a token is good for one controller. ${again}`)
        if (row.expired) throw refuse(`this token has expired. ${again}`)
        const roles = wished ?? row.roles
        const extra = roles.find(role => !row.roles.includes(role))
        if (extra !== undefined) throw refuse(`this token does not allow the role ${extra}. ${again}`)
        const fault = mine === undefined || version === undefined ? undefined : versionFault(version, mine, `the region ${o.controller?.hostname ?? ''}`)
        if (fault !== undefined) throw refuse(`${fault}. The token is still good`)
        const needs = roles.includes('region') ? needsOf(o.installation, o.controller?.hostname ?? '', databaseHosts) : undefined
        // Anyone else would take a controller's name.
        if (before?.linked === true) throw refuse(`there is a controller ${controller} already. Remove it on a region first, or empty this controller's data directory so that it gets a new id`)
        const certificate = await issue(ca, request, { controller, roles, addresses: [] }, o.clock.now())
        await spendToken(tx, token.id, controller, keySha256)
        await enrolController(tx, { id: controller, hostname, roles, certificateSha256: fingerprint(certificate) })
        await tx.changed('core.controller', controller)
        return { controller, certificate, authority: ca.certificate, roles, ...mine === undefined ? {} : { version: mine }, ...needs === undefined ? {} : { region: needs } }
      })
    },
    async renew (controller, csr, addresses) {
      const { controller: named, request } = await readRequest(csr)
      const roles = await controllerRoles(o.db, controller)
      if (named !== controller || roles === undefined) throw refuse('a certificate is renewed only for a known controller, by itself')
      const ca = await authority()
      const certificate = await issue(ca, request, { controller, roles, addresses }, o.clock.now())
      await setCertificate(o.db, controller, fingerprint(certificate))
      return { certificate, authority: ca.certificate }
    },
    async server (rack, publicKey, addresses) {
      if ((await controllerRoles(o.db, rack))?.includes('rack') !== true) throw refuse('such a certificate is made only for a known rack')
      return await issueServer(await authority(), { name: `boot.${rack}`, publicKey, addresses }, o.clock.now())
    }
  }
}
