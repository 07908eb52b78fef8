/** boot, the rack half: TFTP and HTTP for machines, answered from wanted state. */
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../../core/errors.ts'
import { off } from '../../core/health.ts'
import { defineRack } from '../../core/plugin.ts'
import type { Service } from '../../core/plugin.ts'
import { Dhcp } from '../dhcp/manifest.ts'
import { Files } from '../images/manifest.ts'
import { createShownStore } from './http/identity.ts'
import { bootRoutes } from './http/routes.ts'
import { createSecure } from './http/secure.ts'
import { createAnswers } from './firmware/answers.ts'
import { usualDirectories } from './firmware/catalogue.ts'
import { createChoice } from './firmware/choice.ts'
import { createRequestHook } from './firmware/hook.ts'
import { createLoaders } from './firmware/loaders.ts'
import { tapDhcp } from './firmware/tap.ts'
import { createFloating } from './floating/service.ts'
import { createRoots } from './iscsi/roots.ts'
import { createIscsiService } from './iscsi/service.ts'
import { Boot, manifest } from './manifest.ts'
import { macOf } from './rack/neighbour.ts'
import { configurationNamed } from './script/names.ts'
import { createTftpServer } from './tftp/server.ts'
import { createWanted } from './rack/wanted.ts'

const rescanLoaders = 10_000

export default defineRack(manifest, {
  requires: { files: Files, dhcp: Dhcp },
  provides: { boot: Boot },
  setup ({ config, controller, deps, log, clock, metrics, region, report }) {
    const wanted = createWanted()
    const choice = createChoice(config.loader ?? 'auto')
    const tapFailures = metrics.counter('boot_tap_failures', 'Extensions that answer boot requests and failed, and were passed over.', ['tap'])
    const request = createRequestHook({ clock, failed (tap, reason) { tapFailures.inc({ tap }); log.warn({ tap, reason }, 'an extension that answers boot requests failed and was passed over') } })
    const loaders = createLoaders(config.loaderDirectories ?? (config.loaderDirectory === undefined ? usualDirectories : [config.loaderDirectory]))
    const dropped = metrics.counter('tftp_dropped_total', 'Malformed TFTP packets.')
    const sentBytes = metrics.counter('boot_sent_bytes_total', 'Bytes sent to machines that boot.', ['by'])
    const requests = metrics.counter('boot_requests_total', 'Files and scripts asked for by machines that boot.', ['by', 'outcome'])

    async function served (by: 'tftp' | 'http' | 'iscsi', request: { readonly address: string, readonly mac: string | null, readonly what: string, readonly bytes: number, readonly milliseconds: number, readonly failure: string | null, readonly retries?: number }): Promise<void> {
      sentBytes.inc({ by }, request.bytes)
      requests.inc({ by, outcome: request.failure === null ? 'sent' : 'failed' })
      const mac = request.mac ?? seen.macOf(request.address) ?? await macOf(request.address)
      if (mac !== null && request.failure === null) choice.fetched(mac, request.what, clock.monotonic())
      if (mac !== null && by === 'http' && request.what === `/ipxe/${mac}`) choice.ran(mac) // its DHCP may have gone past this rack
      const machine = mac === null ? null : wanted.machine(mac)?.machine ?? null
      log.info({ by, address: request.address, mac, what: request.what, bytes: request.bytes, milliseconds: request.milliseconds, failure: request.failure }, 'served')
      report('served', { machine, mac, address: request.address, by, what: request.what, bytes: request.bytes, milliseconds: request.milliseconds, failure: request.failure, ...request.retries === undefined ? {} : { retries: request.retries } })
    }
    const tell = (by: 'tftp' | 'http' | 'iscsi', request: Parameters<typeof served>[1]): void => {
      served(by, request).catch((error: unknown) => log.warn({ err: error }, `A boot request could not be reported: ${reasonOf(error)}`))
    }

    const seen = tapDhcp(deps.dhcp, { choice, clock, log, wanted, loaders, refused: (mac, machine) => { report('refused', { mac, machine }) } })
    const answers = createAnswers({ wanted, files: deps.files, loaders, console: config.console, iscsiPort: () => iscsi.port() ?? config.iscsiPort, httpPort: deps.dhcp.httpPort, request, firmwareOf: seen.firmwareOf })

    const tftp = createTftpServer({
      port: config.tftpPort,
      log,
      clock,
      open: (name, { address, local }) => answers.open(name, address, local),
      dropped: () => dropped.inc(),
      served: ({ name, ...request }) => tell('tftp', { ...request, mac: configurationNamed(name)?.mac ?? null, what: name })
    })

    const floating = createFloating({ clock, log, metrics, moved: () => { tftp.look() } })
    deps.dhcp.knowServed(address => floating.served(address))
    const secure = createSecure({
      port: config.httpsPort, store: createShownStore(join(controller.dataDirectory, 'boot', 'https')), clock, log,
      addresses: () => [...new Set([...ownAddresses(), ...[...wanted.floating().values()].flatMap(({ addresses }) => addresses.map(({ address }) => address))])].sort(),
      certify: (publicKey, addresses, signal) => region.certify({ publicKey, addresses: [...addresses] }, { signal })
    })
    const roots = createRoots()
    const iscsi = createIscsiService({ port: config.iscsiPort, files: deps.files, log, clock, served: request => tell('iscsi', { ...request, mac: null }) })

    return {
      provides: { boot: { hooks: Object.freeze({ request }) } },
      rpc: {},
      services: [tftp, iscsi, watchLoaders(), floating.service, secure],
      async routes (app) {
        secure.handle((asked, response) => { app.routing(asked, response) })
        await app.register(bootRoutes({ wanted, files: deps.files, loaders, answers, clock, httpPort: deps.dhcp.httpPort, served: request => tell('http', request) }))
      },
      apply (change, whole) {
        wanted.apply(change, whole)
        choice.apply(change, whole)
        if (whole || [...change.put, ...change.remove].some(({ kind }) => kind === 'floating')) { floating.want(wanted.floating()); secure.look() }
        roots.apply(change, whole)
        iscsi.offer(roots.list())
      }
    }

    /** Looks at the folder now and then, so that a package installed later is served without a restart. */
    function watchLoaders (): Service {
      let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
      const watch = async (signal: AbortSignal): Promise<void> => {
        while (!signal.aborted) {
          await clock.sleep(rescanLoaders, signal)
          if (!signal.aborted) await loaders.scan()
        }
      }
      return {
        name: 'loaders',
        async start () {
          if (life !== undefined) return
          const stop = new AbortController()
          const first = loaders.scan()
          life = { stop, done: first.then(() => watch(stop.signal)) }
          await first
        },
        async stop () {
          const ending = life
          life = undefined
          ending?.stop.abort()
          await ending?.done
        },
        health: () => life === undefined ? off('Not started.') : loaders.health()
      }
    }
  }
})

/** Addresses of this host that a machine may reach it at. */
const ownAddresses = (): string[] => Object.values(networkInterfaces()).flatMap(list => list ?? []).filter(({ internal, address }) => !internal && !/^fe80:/i.test(address)).map(({ address }) => address)
