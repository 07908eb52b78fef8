/** The rack's end: a link to every region, calls over any of them, wanted state over one, facts out of the outbox. */
import { X509Certificate } from 'node:crypto'
import { BedplateError, hasCode, reasonOf } from '../errors.ts'
import { degraded, off, running, type Health } from '../health.ts'
import type { CallOptions, Service } from '../plugin.ts'
import { createOutbox } from '../state/outbox.ts'
import { openRackStore, type RackStore } from '../state/store.ts'
import { createWanted } from '../state/wanted.ts'
import { isOld, makeRequest } from './certificate.ts'
import { createCaller } from './calls.ts'
import { coreMethods } from './core-methods.ts'
import { halvesOf, type RackEnd, type RackEndOptions } from './ends.ts'
import { protocol, type Hello } from './frames.ts'
import { createIdentityStore, faultOf, type Identity, type KnownRegions } from './identity.ts'
import { enrol } from './joining.ts'
import { inTurn } from './in-turn.ts'
import { createLink, quiet, type Carried, type Link } from './link.ts'
import { answerCall, checkParams, methodOf } from './methods.ts'
import { keepLink, notTried, openSocket, regionUrl, removedRegion, type Target } from './target.ts'
import type { Wire } from './wire.ts'

const renewalEvery = 3_600_000 // ms between looks at the certificate's age

/** Makes the rack end of this controller. `restore()` first, then its services. Throws CONFIG_INVALID for a region address that is none. */
export function createRackEnd (o: RackEndOptions): RackEnd {
  const { controller, clock, log } = o
  const configured = [...new Set(o.regions.map(configuredUrl))]
  const halves = () => halvesOf(o.halves)
  const identities = createIdentityStore(controller.dataDirectory)
  const dropped = o.metrics.counter('frames_dropped_total', 'Frames that could not be understood')
  const upGauge = o.metrics.gauge('region_links', 'Links to regions that are up')
  const answers = o.metrics.gauge('link_answer_seconds', 'Time the other end of a link takes to answer a ping, smoothed', ['controller'])
  const targets = new Set<Target>()
  let disk: RackStore | undefined
  let identity: Identity | undefined
  let subscribed: Link | undefined
  let stopping: AbortController | undefined
  let working: Promise<unknown> | undefined
  let enrolment: Health | undefined
  let refused: string | undefined
  let saving: Promise<void> = Promise.resolve()
  let removed: ReadonlySet<string> = new Set() // regions whose certificates count for nothing any more

  const store = () => disk ??= openRackStore(controller.dataDirectory, (reason, kept) => { log.error({ reason, kept }, 'the rack\'s disk state was damaged; it was put aside and begins anew') })
  const wanted = createWanted({ store, halves, log })
  /** Links that are up: the one wanted state comes over first, else loopback first. */
  const up = (): Link[] => {
    const all = [...targets].flatMap(target => target.link?.up === true ? [target.link] : [])
    const rank = (link: Link) => link === subscribed ? 0 : link.peer.controller === o.loopback?.controller ? 1 : 2
    return all.sort((a, b) => rank(a) - rank(b))
  }
  const ask = createCaller({ clock, metrics: o.metrics, links: up, loopback: o.loopback?.controller })
  /** Links to regions that can store: those that were heard just now first. */
  const storing = (): Link[] => {
    const able = up().filter(link => link.fault === undefined)
    return [...able.filter(link => link.silence() <= quiet), ...able.filter(link => link.silence() > quiet)]
  }
  const outbox = createOutbox({ store, halves, clock, log, metrics: o.metrics, links: storing, ...(o.outboxLimit === undefined ? {} : { limit: o.outboxLimit }) })

  /** Keeps the subscription on one link: loopback when there is one, else where it is, else any; a region without its database only when all are. */
  function subscribe (): void {
    const links = up()
    const able = links.filter(link => link.fault === undefined)
    const from = able.length > 0 ? able : links
    const best = from.find(link => link.peer.controller === o.loopback?.controller) ?? from[0]
    if (best === subscribed) return
    if (subscribed?.up === true) subscribed.send({ t: 'subscribe', positions: {} })
    wanted.forget()
    subscribed = best
    best?.send({ t: 'subscribe', positions: wanted.positions() })
  }

  function receive (frame: Carried, link: Link): void {
    switch (frame.t) {
      case 'wanted': {
        if (link !== subscribed) return // sent before it heard that the subscription moved
        const ack = wanted.take(frame)
        if (ack !== undefined) link.send(ack)
        return
      }
      case 'stored': outbox.stored(link, frame); return
      case 'regions': hear(frame.regions, frame.removed); return
      default: throw new BedplateError('FRAME_INVALID', { reason: `${frame.t} is for regions` })
    }
  }

  const link = (wire: Wire, refuse: (peer: Hello) => string | undefined): Link => createLink({
    wire, clock, second: true, self: { t: 'hello', protocol, controller: controller.id, roles: [...controller.roles], version: controller.version, epoch: store().epoch },
    refuse (hello) {
      if (wire.controller !== undefined && wire.controller !== hello.controller) return `the certificate belongs to ${wire.controller}, not to ${hello.controller}`
      if (isRemoved(hello.controller)) return removedRegion(hello.controller)
      return hello.roles.includes('region') ? refuse(hello) : `${hello.controller} is not a region`
    },
    answer: (call, from, signal) => answerCall(halves(), 'rack', call, { controller: from.peer.controller, signal }, controller.id),
    receive,
    answered: made => { if (made.peer.controller !== controller.id) answers.set({ controller: made.peer.controller }, (made.answerTime ?? 0) / 1000) },
    faulty (made) {
      const region = made.peer.controller
      if (made.fault === undefined) log.info({ region }, 'the region is well again')
      else log.warn({ region, reason: made.fault }, 'the region is not well; others are asked')
      changed()
    },
    dropped (reason) { dropped.inc(); log.warn({ region: wire.name, reason }, 'a frame was dropped') }
  })

  const announce = (id: string, isUp: boolean) => { o.hooks.link.promise({ controller: id, up: isUp }).catch((error: unknown) => { log.warn({ reason: reasonOf(error) }, 'a link observer failed') }) }
  function changed (): void {
    upGauge.set(up().length)
    subscribe()
    outbox.nudge()
  }

  function keep (seed: { readonly controller?: string, readonly urls: readonly string[], readonly configured: boolean }, open: (url: string) => Promise<Wire>): void {
    targets.add(keepLink(seed, {
      clock, open, link, random: Math.random,
      spare: (self, id) => [...targets].some(other => other !== self && other.link?.up === true && other.link.peer.controller === id) ? `${id} is linked already` : undefined,
      up (target, made) {
        log.info({ region: made.peer.controller, url: made.wire.name }, 'link up')
        for (const other of targets) if (other !== target && !other.configured && other.controller === made.peer.controller) { also(target, other.urls); drop(other) }
        changed()
        announce(made.peer.controller, true)
      },
      down (_target, made, reason) {
        log.info({ region: made.peer.controller, reason }, 'link down')
        if (subscribed === made) subscribed = undefined
        answers.remove({ controller: made.peer.controller })
        changed()
        announce(made.peer.controller, false)
      }
    }))
  }
  const overTls = (url: string): Promise<Wire> => identity === undefined ? Promise.reject(new BedplateError('ENROLMENT_REFUSED', { reason: 'this rack has no certificate yet' })) : openSocket(url, identity, removed)

  /** More addresses of a region: tried after those it has. */
  function also (target: Target, urls: readonly string[]): void {
    target.urls = [...new Set([...(target.configured ? target.urls.slice(0, 1) : []), ...urls])]
  }
  function drop (target: Target): void {
    target.stop.abort()
    targets.delete(target)
  }

  /** The region of this same process is not known by a certificate; it stops by itself. */
  const isRemoved = (id: string | undefined) => id !== undefined && id !== o.loopback?.controller && removed.has(id)
  /** Regions told of other regions, and of removed ones; a region of a version before says nothing of those. */
  function hear (regions: KnownRegions, gone: readonly string[] | undefined, keepIt = true): void {
    if (stopping === undefined || stopping.signal.aborted) return
    if (gone !== undefined) removed = new Set(gone)
    for (const target of targets) {
      if (!isRemoved(target.controller)) continue
      target.link?.close(removedRegion(target.controller ?? ''))
      if (!target.configured) drop(target)
    }
    for (const { controller: id, urls } of regions) {
      if (id === o.loopback?.controller || urls.length === 0 || isRemoved(id)) continue
      const known = [...targets].find(target => target.controller === id)
      if (known === undefined) keep({ controller: id, urls, configured: false }, overTls)
      else also(known, urls)
    }
    for (const target of targets) {
      if (target.configured || target.link !== undefined || target.controller === o.loopback?.controller || regions.some(region => region.controller === target.controller)) continue
      drop(target)
    }
    if (keepIt) saving = saving.then(() => identities.saveRegions(regions, gone)).catch((error: unknown) => { log.warn({ reason: reasonOf(error) }, 'the list of regions could not be stored') })
  }

  /** The kept identity; without one, enrols with the token until a region answers; refused is refused. */
  async function identify (signal: AbortSignal): Promise<Identity | undefined> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const kept = await identities.load()
        const fault = kept === undefined ? 'this rack is not enrolled: start it once with a token' : faultOf(kept, controller.id, clock.now())
        if (kept !== undefined && fault === undefined) { enrolment = undefined; return kept }
        const url = configured[attempt % Math.max(1, configured.length)]
        if (o.token === undefined || url === undefined || refused !== undefined) {
          // With a loopback the region end of this process writes the identity.
          enrolment = o.loopback !== undefined && o.token === undefined ? undefined : degraded(refused ?? (o.token === undefined ? fault ?? '' : 'no region to enrol at is configured'))
        } else {
          await enrol({ url, token: o.token, controller: controller.id, hostname: controller.hostname, roles: controller.roles, store: identities })
          log.info({ url }, 'enrolled')
          continue
        }
      } catch (error) {
        if (hasCode(error, 'ENROLMENT_REFUSED')) refused = reasonOf(error)
        enrolment = degraded(reasonOf(error))
        log.warn({ reason: reasonOf(error) }, 'not enrolled')
      }
      await clock.sleep(Math.min(5000, 250 * 2 ** Math.min(attempt, 5)), signal)
    }
    return undefined
  }

  async function renewals (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (identity !== undefined && isOld(new X509Certificate(identity.certificate), clock.now())) {
          const { certificate, authority } = await call('core', 'renew', { csr: await makeRequest(identity.key, controller.id) }) as { certificate: string, authority: string }
          identity = await identities.save(certificate, authority)
          log.info('the certificate was renewed')
        }
        await clock.sleep(renewalEvery, signal)
      } catch (error) {
        if (!hasCode(error, 'LINK_DOWN')) log.warn({ reason: reasonOf(error) }, 'the certificate could not be renewed yet')
        await clock.sleep(up().length === 0 ? 1000 : 60_000, signal)
      }
    }
  }

  async function run (signal: AbortSignal): Promise<void> {
    identity = await identify(signal)
    if (identity === undefined || signal.aborted) return
    removed = new Set(await identities.removed())
    for (const url of configured) keep({ urls: [url], configured: true }, overTls)
    hear(await identities.regions(), undefined, false)
    await renewals(signal)
  }

  async function call (plugin: string, name: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    const method = methodOf([{ manifest: coreMethods }, ...halves()], plugin, name, 'region')
    checkParams(method, `${plugin}.${name}`, params)
    return await ask(plugin, name, method, params, options)
  }

  const service: Service = {
    name: 'rack-links',
    async start () {
      if (stopping !== undefined) return
      const { signal } = stopping = new AbortController()
      store()
      const { loopback } = o
      if (loopback !== undefined) keep({ controller: loopback.controller, urls: ['loopback'], configured: true }, async () => loopback.connect())
      working = Promise.all([run(signal), outbox.run(signal)])
    },
    async stop () {
      const was = stopping
      if (was === undefined) return
      was.abort()
      for (const target of targets) target.stop.abort()
      await Promise.all([working, ...[...targets].map(target => target.done)])
      await saving
      targets.clear()
      subscribed = undefined
      disk?.close()
      disk = undefined
      stopping = undefined
    },
    health () {
      if (stopping === undefined) return off('not started')
      for (const health of [enrolment, wanted.health(), outbox.health()]) if (health !== undefined && health.state !== 'running') return health
      const linked = up()
      const down = [...targets].filter(target => target.link?.up !== true && target.reason !== notTried && !linked.some(link => link.peer.controller === target.controller))
      const missing = [...new Map(down.map(target => [target.controller ?? target.url, target])).values()] // a region that is configured and was heard of is one
      const why = missing.map(target => `${target.controller ?? target.url}: ${target.reason ?? 'connecting'}`).join('; ')
      if (linked.length === 0) {
        if (targets.size > 0 && missing.length === 0) return off('connecting to the regions')
        return degraded(`no region is reachable (${why || 'none is configured: set regions, and enrolmentToken once'}); this rack goes on with the state it has`)
      }
      const faults = linked.flatMap(link => link.fault === undefined ? [] : [`${link.peer.controller}: ${link.fault}`])
      if (faults.length === linked.length) return degraded(`no region that is linked can work (${faults.join('; ')}); this rack goes on with the state it has`)
      return why === '' ? running : degraded(`no link to ${missing.length} of ${linked.length + missing.length} regions (${why}); the others do their work`)
    }
  }

  return {
    services: [inTurn(service)],
    call,
    report: outbox.report,
    async restore () { wanted.restore() },
    links: () => [...targets].map(({ controller: id = '', url, link, reason, since }) => ({
      controller: id, url, up: link?.up === true, since: new Date(link?.since ?? since).toISOString(),
      ...(link?.up === true ? { silence: Math.round(link.silence()), ...(link.answerTime === undefined ? {} : { answerTime: Math.round(link.answerTime * 10) / 10 }) } : {}),
      ...reasonFor(link?.up === true ? link.fault : reason)
    }))
  }
}

function configuredUrl (text: string, index: number): string {
  try { return regionUrl(text) } catch (cause) { throw new BedplateError('CONFIG_INVALID', { problems: `  $.regions[${index}]: "${text}" is not the address of a region: give host or host:port` }, cause) }
}

const reasonFor = (reason: string | undefined) => reason === undefined ? {} : { reason }
