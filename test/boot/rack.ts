/** Runs inside a cell's namespace: the rack halves of dhcp and boot over a region in memory, on the real ports. What is wanted comes as JSON in the first argument; what happens goes out as JSON lines. */
import { createApp } from '../../core/http/app.ts'
import { createHooks } from '../../core/hooks.ts'
import { systemClock } from '../../core/clock.ts'
import { createMetrics } from '../../core/metrics.ts'
import type { Entry, Logger, Service } from '../../core/plugin.ts'
import { BedplateError } from '../../core/errors.ts'
import type { manifest as bootManifest } from '../../plugins/boot/manifest.ts'
import boot from '../../plugins/boot/rack.ts'
import type { WantedEntry } from '../../plugins/dhcp/manifest.ts'
import dhcp from '../../plugins/dhcp/rack.ts'
import { memoryRegion } from '../plugins/dhcp/segment.ts'

export interface RackSpec {
  readonly directory: string
  readonly address: string
  readonly interface: string
  /** Folders with loaders. */
  readonly loaders: readonly string[]
  /** Content by hash → the file that has it. */
  readonly files: Readonly<Record<string, string>>
  readonly wanted: readonly Entry<typeof bootManifest.wanted>[]
  readonly loader?: 'auto' | 'ipxe' | 'grub'
  /** A file that every machine is told to boot, whatever it is. */
  readonly named?: string
}
/** `served`: a fact; `asked`: an HTTP request; `dhcp`: what a client was told to boot; `log`: a line of the rack's log. */
export interface RackLine { readonly at: number, readonly kind: 'ready' | 'served' | 'fact' | 'asked' | 'dhcp' | 'log', readonly [key: string]: unknown }

const spec = JSON.parse(process.argv[2] ?? '{}') as RackSpec
const say = (kind: RackLine['kind'], more: object = {}): void => { process.stdout.write(`${JSON.stringify({ at: Date.now(), kind, ...more })}\n`) }
const write = (level: string) => (about: unknown, text?: unknown): void => {
  if (level !== 'debug' || (typeof about === 'object' && about !== null && 'name' in about)) say('log', { level, ...typeof about === 'object' ? about : { text: about }, ...text === undefined ? {} : { text } })
}
const log = { debug: write('debug'), info: () => {}, warn: write('warn'), error: write('error'), fatal: write('fatal'), trace: () => {}, silent: () => {}, level: 'debug' } as object as Logger
Object.assign(log, { child: () => log })

const region = memoryRegion({ pool: Array.from({ length: 40 }, (_, index) => `10.99.0.${100 + index}`) })
const common = { hooks: createHooks(), log, clock: systemClock, metrics: createMetrics(), controller: { id: 'rack', hostname: 'rack', roles: ['rack' as const], version: '0', dataDirectory: spec.directory } }
const answering = dhcp.setup({
  ...common,
  config: { historyDays: 90, leaseSeconds: 600, firmwareLeaseSeconds: 120, rapidCommit: true, probeSeconds: 0, blockSize: 8, rackHttpPort: 5248, quarantineSeconds: 600, autonomySeconds: 3600, reserveSize: 0, newClientPoolSeconds: 60, newClientsPerSecond: 20, newClientsPerPort: 10, newClientsPortBurst: 100, rogueProbeSeconds: 0 },
  deps: {},
  region: { bind: async ({ wishes }) => ({ answers: [...await region.bind(wishes)] }), grant: async ({ subnet }) => ({ addresses: [...await region.grant(subnet)] }), sync: async params => await region.sync?.(params) ?? Promise.reject(new TypeError('no region')) },
  report: () => ({ stored: async () => true })
})
const segment: WantedEntry = {
  kind: 'segment', id: '1',
  value: { interface: spec.interface, address: spec.address, rank: 0, mtu: 1500, subnets: [{ id: 's1', cidr: '10.99.0.0/24', gateway: spec.address, dnsServers: [spec.address], dynamic: [{ start: '10.99.0.100', end: '10.99.0.199' }], leaseSeconds: 600 }] }
}
const { named } = spec
if (named !== undefined) answering.provides.dhcp.hooks.boot.tap('named', boot => boot === undefined ? undefined : { ...boot, file: named, options: new Map([...boot.options, [67, Buffer.from(named)]]), asked: new Map() })
answering.provides.dhcp.hooks.reply.tap('cells', (reply, { packet }) => {
  const architecture = packet.options.get(93)
  say('dhcp', { mac: packet.mac, file: reply.options.get(67)?.toString() ?? reply.file, vendor: packet.options.get(60)?.toString() ?? '', ...architecture === undefined ? {} : { architecture: architecture.readUInt16BE(0) } })
  return reply
})

const serving = boot.setup({
  ...common,
  config: { tftpPort: 69, httpsPort: 0, iscsiPort: 3260, loaderDirectories: [...spec.loaders], loader: spec.loader ?? 'auto', console: '' },
  deps: {
    dhcp: answering.provides.dhcp,
    files: { has: sha256 => sha256 in spec.files, path: async sha256 => spec.files[sha256] ?? Promise.reject(new BedplateError('NOT_FOUND', { what: 'file', id: sha256 })) }
  },
  region: { certify: async () => Promise.reject(new TypeError('no region')) },
  report (kind, body) {
    say(kind === 'served' ? 'served' : 'fact', { fact: kind, ...body })
    return { stored: async () => true }
  }
})
const app = createApp(log)
app.addHook('onResponse', async (request, reply) => { say('asked', { from: request.socket.remoteAddress, method: request.method, url: request.url, status: reply.statusCode, agent: request.headers['user-agent'] ?? '', ...typeof request.body === 'string' ? { body: request.body } : {} }) })
app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
if (serving.routes !== undefined) await app.register(serving.routes, { prefix: '/boot' })
app.route({ method: ['GET', 'POST'], url: '/provision/*', handler: async () => '' }) // the machines' reports
await app.listen({ host: '0.0.0.0', port: 5248 })
answering.apply?.({ put: [segment], remove: [] }, true)
serving.apply?.({ put: spec.wanted, remove: [] }, true)
const signal = new AbortController().signal
const services: readonly Service[] = [...answering.services.filter(({ name }) => name === 'dhcp'), ...serving.services]
for (const service of services) await service.start(signal)
say('ready', { health: Object.fromEntries(services.map(service => [service.name, service.health()])) })
process.stdin.once('end', () => { process.exit(0) }).resume() // no rack outlives its cell
