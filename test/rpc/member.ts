/** A region or a rack with the probe plugin as a process of its own; its parent asks it by messages. Or a way to a socket's folder: `{role: 'way'}`. */
import { connect, createServer } from 'node:net'
import { systemClock } from '../../core/clock.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { BedplateError } from '../../core/errors.ts'
import { createHooks } from '../../core/hooks.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import { createSecrets } from '../../core/secrets.ts'
import { createRackEnd } from '../../core/rpc/client.ts'
import { createRegionEnd } from '../../core/rpc/server.ts'
import { rackProbe, regionProbe } from './installation.ts'

export interface RegionRole { readonly role: 'region', readonly id: string, readonly address: string, readonly directory: string, readonly secret: string, readonly database: { readonly host: string, readonly port: number, readonly name: string, readonly user: string } }
export interface RackRole { readonly role: 'rack', readonly id: string, readonly directory: string, readonly regions: readonly string[], readonly token: string }
/** Listens on an address of its namespace and passes on to a server's socket, which is a file and so reached from anywhere. */
export interface WayRole { readonly role: 'way', readonly address: string, readonly port: number, readonly socket: string }
export type MemberRole = RegionRole | RackRole | WayRole
/** `id` 0 is news: `asked` a held call, `ready`. */
export interface Told { readonly id: number, readonly result?: unknown, readonly error?: { readonly code: string, readonly message: string }, readonly news?: string }

const tell = (told: Told): void => { process.send?.(told) }
const options = JSON.parse(process.argv[2] ?? '') as MemberRole
const shared = (id: string, dataDirectory: string, role: 'region' | 'rack') => ({
  controller: { id, hostname: id, roles: [role], version: '1.0.0', dataDirectory }, log: createLogger(process.env.TEST_LOG ?? 'silent'), clock: systemClock, metrics: createMetrics(), hooks: createHooks()
})
type Asks = Readonly<Record<string, (argument: never) => unknown>>

async function region ({ id, address, directory, secret, database: { host, port, name, user } }: RegionRole): Promise<Asks> {
  const base = shared(id, directory, 'region')
  const db = await openDatabase({ hosts: [{ host, port }], database: name, user, log: base.log })
  const probe = regionProbe(db, id)
  const held = new Set<() => void>()
  let holding = true
  probe.onCall = text => {
    if (!text.startsWith('hold')) return Promise.resolve()
    tell({ id: 0, news: text })
    return holding ? new Promise(resolve => { held.add(resolve) }) : Promise.resolve()
  }
  const end = createRegionEnd({ ...base, db, secrets: createSecrets(Buffer.from(secret, 'hex')), halves: [probe.half], listen: { host: '0.0.0.0', port: 5250, advertise: [address] } })
  for (const service of [db.feed.service, ...end.services]) await service.start(AbortSignal.timeout(20_000))
  return {
    token: () => end.createToken(['rack'], 600),
    racks: () => end.racks(),
    done: () => probe.once,
    aborted: () => probe.aborted,
    hold: () => { holding = true },
    release: () => { holding = false; for (const go of held) go(); held.clear() }
  }
}

async function rack ({ id, directory, regions, token }: RackRole): Promise<Asks> {
  const probe = rackProbe()
  const end = createRackEnd({ ...shared(id, directory, 'rack'), halves: [probe.half], regions, token })
  await end.restore()
  for (const service of end.services) await service.start(AbortSignal.timeout(20_000))
  let reported = 0
  let reporting: NodeJS.Timeout | undefined
  return {
    links: () => end.links(),
    state: () => [...probe.state],
    call: async ({ method, text, timeout }: { method: string, text: string, timeout: number }) => {
      const began = performance.now()
      const answer = await end.call('probe', method, { text }, { timeout }).catch((error: unknown) => ({ code: error instanceof BedplateError ? error.code : String(error), message: String(error) }))
      return { ...answer as object, ms: performance.now() - began }
    },
    report: (every: number) => { reporting = setInterval(() => { end.report('probe', 'seen', { n: ++reported }) }, every) },
    reported: () => { clearInterval(reporting); return reported }
  }
}

async function way ({ address, port, socket }: WayRole): Promise<Asks> {
  const server = createServer(near => {
    const far = connect(socket)
    near.pipe(far).pipe(near)
    for (const end of [near, far]) end.on('error', () => { near.destroy(); far.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(port, address, resolve) })
  return {}
}

const asks = options.role === 'region' ? await region(options) : options.role === 'rack' ? await rack(options) : await way(options)
process.on('message', ({ id, ask, argument }: { id: number, ask: string, argument: never }) => {
  Promise.resolve(asks[ask]?.(argument)).then(result => { tell({ id, result }) }, (error: unknown) => { tell({ id, error: { code: 'TEST', message: String(error) } }) })
})
process.once('disconnect', () => process.exit(0))
tell({ id: 0, news: 'ready' })
