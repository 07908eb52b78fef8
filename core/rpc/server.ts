/** The region's end: lets racks in, answers and makes calls, stores facts, publishes wanted state, and tells racks which regions there are. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { orAborted } from '../deadline.ts'
import { BedplateError, hasCode, reasonOf } from '../errors.ts'
import { degraded, off, running } from '../health.ts'
import type { Service } from '../plugin.ts'
import { createFactStore } from '../state/facts.ts'
import { createPublisher } from '../state/publisher.ts'
import { controllerRoles, greetController, listControllers, liveRegions, registerRegion, removedControllers, seenControllers, seenRacks } from '../state/registry.ts'
import { coreMethods } from './core-methods.ts'
import { anywhere, bracketed, urlOf, withoutPort } from './address.ts'
import { removedSentence } from './admission.ts'
import { createDepartures } from './departure.ts'
import { createRegistrar } from './enrolment.ts'
import { drain } from './drain.ts'
import { halvesOf, type RegionEnd, type RegionEndOptions } from './ends.ts'
import { certificateLife, fingerprint, hasRole, isOld, makeRequest, noSooner } from './certificate.ts'
import { protocol, removedLimit } from './frames.ts'
import { createIdentityStore, faultOf, type Identity, type KnownRegions } from './identity.ts'
import { inTurn } from './in-turn.ts'
import { createLink, type Carried, type Link } from './link.ts'
import { listen, type Listener } from './listener.ts'
import { wirePair } from './loopback.ts'
import { answerCall, checkParams, checkResult, defaultTimeout, methodOf, type Answering } from './methods.ts'
import type { Wire } from './wire.ts'

const forgetRegionAfter = 90 // s
const topic = 'core.controller' // in the change log: a region has come
const goingDown = 'this region is stopping'
const lastLook = 1000 // ms a stop waits for a look under way: what it writes shall not come after the stop
const atOnce = 3 // questions whether the database answers

/** Makes the region end of this controller; nothing runs before its services start. */
export function createRegionEnd (o: RegionEndOptions): RegionEnd {
  const { controller, db, clock, log } = o
  const plugins = () => halvesOf(o.halves)
  const { tick: tickEvery = 5000, probe: probeEvery = 1000, cutOff: cutOffAfter = 3000 } = o.timing ?? {}
  const registrar = createRegistrar(o)
  const departures = createDepartures({ db, self: controller.id })
  const store = createIdentityStore(controller.dataDirectory)
  const publisher = createPublisher({ db, clock, log, halves: plugins, version: controller.version })
  const facts = createFactStore({ db, clock, log, metrics: o.metrics, halves: plugins })
  const calls = o.metrics.counter('calls_total', 'Calls this controller made', ['plugin', 'method', 'outcome'])
  const dropped = o.metrics.counter('frames_dropped_total', 'Frames that could not be understood')
  const up = o.metrics.gauge('links', 'Links to racks that are up')
  const answers = o.metrics.gauge('link_answer_seconds', 'Time the other end of a link takes to answer a ping, smoothed', ['controller'])
  const core: Answering = {
    manifest: coreMethods,
    running: { rpc: { renew: (params: { csr: string }, caller: { controller: string }) => registrar.renew(caller.controller, params.csr, []) } }
  }
  const links = new Map<string, Link>()
  const opening = new Set<Link>()
  const absent = new Map<string, number>() // racks that others are linked with → since when they are missed here
  let regions: KnownRegions = []
  let gone: readonly string[] | undefined // removed controllers, once they are known
  const known = () => ({ t: 'regions' as const, regions: [...regions], ...(gone === undefined ? {} : { removed: [...gone] }) })
  let listener: Listener | undefined
  let identity: Identity | undefined
  let stopping: AbortController | undefined
  let ticking: Promise<void> | undefined
  let fault: string | undefined
  let databaseSeen = 0
  let databaseFault: string | undefined
  let wake = Promise.withResolvers<void>()
  let removed = false
  const startedAt = new Date(clock.now())

  const addresses = () => o.listen.advertise.length > 0 ? o.listen.advertise : [anywhere(o.listen.host) ? controller.hostname : o.listen.host]
  const announce = (id: string, up: boolean) => { o.hooks.link.promise({ controller: id, up }).catch((error: unknown) => { log.warn({ reason: reasonOf(error) }, 'a link observer failed') }) }
  /** Why racks had better ask another region. */
  const cutOff = () => stopping?.signal.aborted === true ? goingDown : clock.monotonic() - databaseSeen > cutOffAfter ? `this region cannot reach its database: ${databaseFault ?? 'it does not answer'}` : undefined

  function receive (frame: Carried, link: Link): void {
    switch (frame.t) {
      case 'subscribe': publisher.subscribe(link, frame.positions); return
      case 'ack': publisher.acknowledged(link, frame); return
      case 'facts':
        if (frame.items.some((item, index) => index > 0 && item.seq <= (frame.items[index - 1]?.seq ?? 0))) throw new BedplateError('FRAME_INVALID', { reason: 'facts come in the order of their numbers' })
        void facts.store(link.peer.controller, frame, link.signal).then(through => { if (through !== undefined) link.send({ t: 'stored', epoch: frame.epoch, through }) })
        return
      default: throw new BedplateError('FRAME_INVALID', { reason: `${frame.t} is for racks` })
    }
  }

  function accept (wire: Wire, id: string): void {
    const link = createLink({
      wire, clock, self: { t: 'hello', protocol, controller: controller.id, roles: [...controller.roles], version: controller.version },
      refuse: hello => hello.controller !== id ? `the certificate belongs to ${id}, not to ${hello.controller}` : undefined,
      fault: cutOff,
      answered: made => { answers.set({ controller: id }, (made.answerTime ?? 0) / 1000) },
      answer: (call, _link, signal) => answerCall([core, ...plugins()], 'region', call, { controller: id, signal }, controller.id),
      receive,
      dropped (reason) { dropped.inc(); log.warn({ controller: id, reason }, 'a frame was dropped') }
    })
    opening.add(link)
    link.ready.then(() => {
      const older = links.get(id)
      links.set(id, link)
      older?.close('replaced by a newer link')
      up.set(links.size)
      log.info({ controller: id, address: wire.name }, 'link up')
      link.send(known())
      greetController(db, id, link.peer.version).catch(() => {}) // the next tick sees it again
      if (older === undefined) announce(id, true)
    }, () => {})
    void link.closed.then(reason => {
      opening.delete(link)
      if (links.get(id) !== link) return
      links.delete(id)
      answers.remove({ controller: id })
      up.set(links.size)
      log.info({ controller: id, reason }, 'link down')
      announce(id, false)
    })
  }

  /** This region's own certificate: kept while it fits, else issued anew under the same key. */
  async function identify (): Promise<Identity> {
    if (clock.now() < noSooner) throw new BedplateError('UNAVAILABLE', { reason: `this host's clock says ${new Date(clock.now()).toISOString()}; certificates made now would be worth nothing. Set it ("timedatectl" shows how it is kept): the links come up by themselves then` })
    const authority = await registrar.authority()
    const kept = await store.load()
    if (kept !== undefined && kept.authority === authority.certificate && faultOf(kept, controller.id, clock.now()) === undefined) {
      const certificate = new X509Certificate(kept.certificate)
      const names = addresses().every(address => isIP(address) === 0 || certificate.checkIP(address) !== undefined)
      if (names && controller.roles.every(role => hasRole(certificate, role)) && !isOld(certificate, clock.now())) return kept
    }
    const renewed = await registrar.renew(controller.id, await makeRequest(await store.key(), controller.id), addresses())
    return await store.save(renewed.certificate, renewed.authority)
  }

  /** False when this region has been removed. */
  async function register (port: number | null): Promise<boolean> {
    const certificate_sha256 = identity === undefined ? '' : fingerprint(identity.certificate)
    const apiPort = o.api?.port()
    const hosts = o.api === undefined || anywhere(o.api.host) ? addresses() : [o.api.host]
    return await registerRegion(db, {
      ...controller, addresses: addresses(), rpc_port: port, certificate_sha256, http_port: apiPort ?? null, api: apiPort === undefined ? [] : hosts.map(host => `http://${bracketed(withoutPort(host))}:${apiPort}`),
      started_at: startedAt, holds_database: o.installation?.embedded === true
    })
  }

  async function tick (): Promise<void> {
    if (!await register(listener?.port ?? null)) {
      for (const link of links.values()) link.close('this region was removed')
      if (!removed) o.removed?.(`This region stops: ${removedSentence()}`)
      removed = true
      return
    }
    if (identity !== undefined && isOld(new X509Certificate(identity.certificate), clock.now())) listener?.renewed(identity = await identify())
    const there = await seenControllers(db, [...links.keys()])
    for (const [id, link] of links) if (!there.has(id)) link.close('this controller was removed')
    const alive = new Set(await seenRacks(db, tickEvery / 1000 + 2)) // each region marks its racks once a look
    for (const id of absent.keys()) if (!alive.has(id) || links.has(id)) absent.delete(id)
    for (const id of alive) if (id !== controller.id && !links.has(id) && !absent.has(id)) absent.set(id, clock.monotonic())
    const found = (await liveRegions(db, forgetRegionAfter)).map(row => ({ controller: row.id, urls: row.addresses.map(address => urlOf(address, row.rpc_port ?? 0)) }))
    const lately = await removedControllers(db, certificateLife / 1000, removedLimit)
    if (JSON.stringify([found, lately]) !== JSON.stringify([regions, gone])) {
      regions = found
      gone = lately
      if (!controller.roles.includes('rack')) await store.saveRegions(found, lately).catch((error: unknown) => { log.warn({ reason: reasonOf(error) }, 'the list of regions could not be stored') }) // a rack's end does it itself; read when this host leaves
      for (const link of links.values()) link.send(known())
    }
  }

  const missed = () => [...absent].filter(([id, since]) => !links.has(id) && clock.monotonic() - since >= 3 * tickEvery).map(([id]) => id)

  /** Asks the database whether it answers, once a second and several at a time: an answer over a dead connection may never come. */
  async function probe (signal: AbortSignal): Promise<void> {
    let waiting = 0
    for (let before = clock.monotonic(); !signal.aborted; before = clock.monotonic()) {
      await clock.sleep(probeEvery, signal)
      if (clock.monotonic() - before > probeEvery + 1000) databaseSeen = clock.monotonic() // this process stood still: the database is not to blame
      if (waiting >= atOnce) continue
      waiting++
      db.query('select').then(() => { databaseSeen = clock.monotonic(); databaseFault = undefined }, (error: unknown) => { databaseFault = reasonOf(error) }).finally(() => { waiting-- })
    }
  }

  async function run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const slept = new AbortController()
      await Promise.race([wake.promise, clock.sleep(tickEvery, AbortSignal.any([signal, slept.signal]))])
      slept.abort()
      if (signal.aborted) return
      wake = Promise.withResolvers()
      try {
        const look = tick()
        await orAborted(look, signal)
        if (signal.aborted) await orAborted(look, AbortSignal.timeout(lastLook))
        fault = undefined
      } catch (error) {
        fault = reasonOf(error)
      }
    }
  }

  const service: Service = {
    name: 'region-links',
    async start () {
      if (stopping !== undefined) return
      const { signal } = stopping = new AbortController()
      try {
        if (!await register(null)) throw new BedplateError('START_FAILED', { what: 'This region', reason: removedSentence() }) // a certificate is given to known controllers only
        identity = await identify()
        listener = await listen({
          ...o.listen, log, identity, accept,
          refuse: async id => cutOff() ?? (await controllerRoles(db, id) === undefined ? `the controller ${id} was removed: enrol it again` : undefined),
          enrol: async body => ({ ...await registrar.enrol(body), regions }),
          leave: async (id, { check, delivered = false }) => ({ left: await departures.leave(id, { check, delivered }), regions })
        })
        databaseSeen = clock.monotonic()
        await tick()
        await db.tx(tx => tx.changed(topic, controller.id)) // the other regions tell their racks of this one at once
        const unsubscribe = db.feed.subscribe(changes => { if (changes.some(change => change.topic === topic)) wake.resolve() }, () => { wake.resolve() })
        ticking = Promise.all([run(signal), probe(signal)]).then(unsubscribe)
      } catch (error) {
        await service.stop()
        throw error
      }
    },
    async stop () {
      const was = stopping
      if (was === undefined) return
      was.abort()
      await drain(opening, clock)
      for (const link of [...opening]) link.close(goingDown)
      await Promise.all([ticking, listener?.close()])
      listener = undefined
      ticking = undefined
      stopping = undefined
    },
    health () {
      if (listener === undefined) return off('not started')
      if (fault !== undefined) return degraded(`the registry of controllers cannot be kept: ${fault}`)
      const racks = missed()
      return racks.length === 0 ? running : degraded(`no link to ${racks.join(', ')}, which other regions are linked with: look at the network between here and there, and at "bedplate status" on that rack`)
    }
  }

  return {
    services: [inTurn(service), publisher.service],
    racks: () => [...links.keys()],
    links: () => [...links].map(([rack, link]) => ({
      rack, since: new Date(link.since).toISOString(), silence: Math.round(link.silence()), ...(link.answerTime === undefined ? {} : { answerTime: Math.round(link.answerTime * 10) / 10 })
    })),
    missed,
    port: () => listener?.port,
    authority: { certificate: async () => (await registrar.authority()).certificate, server: registrar.server },
    refresh: () => { wake.resolve() },
    remove: (id, force) => departures.remove(id, force),
    createToken: (roles, ttlSeconds) => registrar.createToken(roles, ttlSeconds),
    async rackStates () {
      return (await publisher.states.list()).map(row => ({ rack: row.rack, plugin: row.plugin, position: row.position, acknowledgedAt: row.acknowledged_at, error: row.error, linked: links.has(row.rack) }))
    },
    async controllers () {
      return (await listControllers(db)).map(row => ({
        id: row.id, hostname: row.hostname, roles: row.roles, version: row.version, seenAt: row.last_seen_at, linked: row.id === controller.id || links.has(row.id),
        startedAt: row.started_at, addresses: row.addresses, rpcPort: row.rpc_port, httpPort: row.http_port, api: row.api
      }))
    },
    loopback: () => ({
      controller: controller.id,
      connect () {
        if (listener === undefined || stopping?.signal.aborted !== false) throw new BedplateError('LINK_DOWN', { controller: controller.id })
        const why = cutOff()
        if (why !== undefined) throw new BedplateError('UNAVAILABLE', { reason: why })
        const [mine, theirs] = wirePair('loopback')
        accept(mine, controller.id)
        return theirs
      }
    }),
    async call (rack, plugin, name, params, options = {}) {
      const label = `${plugin}.${name}`
      const method = methodOf(plugins(), plugin, name, 'rack')
      checkParams(method, label, params)
      const deadline = clock.monotonic() + (options.timeout ?? method.timeout ?? defaultTimeout)
      for (let tried: Link | undefined; ;) {
        const link = links.get(rack)
        if (link === undefined || link === tried) { calls.inc({ plugin, method: name, outcome: 'LINK_DOWN' }); throw new BedplateError('LINK_DOWN', { controller: rack }) }
        tried = link
        try {
          const result = await link.call(plugin, name, params, { timeout: Math.max(1, Math.ceil(deadline - clock.monotonic())), signal: options.signal })
          checkResult(method, label, rack, result)
          calls.inc({ plugin, method: name, outcome: 'ok' })
          return result
        } catch (error) {
          if (method.idempotent !== true && hasCode(error, 'LINK_DOWN') && !link.up) {
            calls.inc({ plugin, method: name, outcome: 'CALL_UNKNOWN' })
            throw new BedplateError('CALL_UNKNOWN', { method: label, controller: rack, reason: reasonOf(error), ...(error instanceof BedplateError && error.details.peerClosed === true ? { peerClosed: true } : {}) }, error)
          }
          if (method.idempotent === true && hasCode(error, 'LINK_DOWN') && clock.monotonic() < deadline) continue // over a newer link, if the rack is back already
          calls.inc({ plugin, method: name, outcome: error instanceof BedplateError ? error.code : 'INTERNAL' })
          throw error
        }
      }
    }
  }
}
