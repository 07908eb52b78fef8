/** qemu: a QEMU that was started with `-S -no-shutdown` is a machine, its monitor (QMP) the BMC. For labs. */
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress, pathInUrl, type AddressForm } from '../address.ts'
import { defineDriver, type Options, type Start } from '../driver.ts'
import type { PowerStateName } from '../manifest.ts'
import { createQueue } from '../rack/queue.ts'
import { endOf, reach } from '../reach.ts'
import { alone, restored, type Indices } from './qemu/bootindex.ts'
import { openMonitor, type Monitor } from './qemu/monitor.ts'

const form: AddressForm = { driver: 'qemu', transports: ['unix', 'tcp'], hostless: ['unix'], example: 'qemu+unix:///run/machine/qmp or qemu+tcp://host:port' }
const id = { pattern: '^[A-Za-z][A-Za-z0-9._-]*$', maxLength: 128 }

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'Of a QMP monitor: qemu+unix:///path on the rack, or qemu+tcp://host:port.' }),
  network: Type.Optional(Type.String({ ...id, default: 'net0', title: 'Network card', description: 'The id of the -device to boot from the network with; it needs a bootindex.' })),
  disk: Type.Optional(Type.String({ ...id, default: 'disk0', title: 'Disk', description: 'The id of the -device to boot from disk with; it needs a bootindex.' }))
}, { additionalProperties: false })
type Parameters = Static<typeof schema>

const firstInstructions = 2_000 // ms; they take one, but the processor may be emulated on a busy host

export const qemu = defineDriver({
  name: 'qemu',
  title: 'QEMU',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'],
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { transport, host, port, path, user } = parseBmcAddress(address, form)
    const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'qemu', reason })
    if (user !== undefined) throw invalid('the address has a user name, and a monitor asks for none')
    if (transport === 'unix') {
      if (path === '') throw invalid('the address has no path; write it like qemu+unix:///run/machine/qmp')
      return { address: `qemu+unix://${pathInUrl(path)}`, ...rest }
    }
    if (port === undefined || path !== '') throw invalid('the address needs a port, and nothing after it: qemu+tcp://host:port')
    return { address: `qemu+tcp://${hostInUrl(host)}:${port}`, ...rest }
  },

  endpoint ({ address }) {
    const { transport, host, port = 0 } = parseBmcAddress(address, form)
    return transport === 'tcp' ? { by: 'tcp', host, port } : undefined
  },

  query: (parameters, options) => atMonitor(parameters, options, stateOf),

  power: (parameters, action, options) => atMonitor(parameters, options, async monitor => {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'qemu', action })
    const before = await stateOf(monitor)
    if (before === endOf(action)) return { state: before }
    if (action === 'on') await start(monitor, parameters, options)
    else if (action === 'shutdown') await monitor.execute('system_powerdown') // the ACPI power button
    else await Promise.all([monitor.execute('stop'), resetOf(monitor)]) // both are on their way before either is answered: a machine that is only stopped still has its memory
    return { state: await reach(() => stateOf(monitor), action, options) }
  }),

  identify: (parameters, options) => atMonitor(parameters, options, async monitor => {
    const answer = await monitor.execute('query-uuid')
    const uuid = typeof answer === 'object' && answer !== null && 'UUID' in answer ? String(answer.UUID).toLowerCase() : ''
    return { uuid: /[1-9a-f]/.test(uuid) ? uuid : null, manufacturer: null, model: null, serial: null, bmcVersion: `QEMU ${monitor.version}` } // all zeros: none was given
  })
})

/** In turn: a monitor takes one client at a time, and has few wait. */
async function atMonitor<T> ({ address }: Parameters, options: Options, work: (monitor: Monitor) => Promise<T>): Promise<T> {
  const { transport, host, port = 0, path } = parseBmcAddress(address, form)
  return await options.kept.of('qemu', () => ({ ...createQueue(), close () {} })).run(address, async () => {
    const monitor = await openMonitor(transport === 'unix' ? { path } : { host, port }, address, options)
    try { return await work(monitor) } finally { monitor.close() }
  })
}

/** Off is before the first instruction (`prelaunch`, also after a reset while stopped) and after the guest switched itself off (`shutdown`, which -no-shutdown keeps). All else has its memory powered. */
async function stateOf (monitor: Monitor): Promise<Extract<PowerStateName, 'on' | 'off'>> {
  const answer = await monitor.execute('query-status')
  const status = typeof answer === 'object' && answer !== null && 'status' in answer ? answer.status : undefined
  if (status === 'inmigrate' || status === 'postmigrate' || typeof status !== 'string') throw new BedplateError('POWER_REFUSED', { reason: `QEMU's machine is being migrated (${String(status)}); it is neither on nor off here` })
  return status === 'prelaunch' || status === 'shutdown' ? 'off' : 'on'
}

/**
 * The firmware reads the order as it was at the last reset, so the devices get their usual indices back while the machine boots, for the resets to come. Not before it runs:
 * what was seen with SeaBIOS is that it resets a machine it ran in before once more, with its first instructions.
 */
async function start (monitor: Monitor, { network = 'net0', disk = 'disk0' }: Parameters, { boot, clock, pace, signal }: Options & Start): Promise<void> {
  const set = async (indices: Indices): Promise<void> => {
    const ordered = [...indices].sort(([, a], [, b]) => a - b) // those that leave the order first: no two devices may have the same index
    for (const [path, value] of ordered) await monitor.execute('qom-set', { path, property: 'bootindex', value })
  }
  const now = await indicesOf(monitor)
  await set(boot === null ? restored(now) : alone(now, `/machine/peripheral/${boot === 'network' ? network : disk}`))
  await resetOf(monitor)
  const once = boot === null ? undefined : monitor.event('RESET', 'whenever it comes').catch(() => {}) // closed, at the latest
  await monitor.execute('cont')
  if (once === undefined) return
  await Promise.race([once, clock.sleep(Math.min(firstInstructions, pace.settle), signal)])
  await set(restored(await indicesOf(monitor)))
}

/** A reset is asked for and happens a little later. */
async function resetOf (monitor: Monitor): Promise<void> { await Promise.all([monitor.event('RESET'), monitor.execute('system_reset')]) }

/** The bootindex of every device that has one, by its path. */
async function indicesOf (monitor: Monitor): Promise<Indices> {
  const folders = ['/machine/peripheral', '/machine/peripheral-anon'] // devices with an id, and without
  const found = new Map<string, number>()
  for (const folder of folders) {
    const children = await monitor.execute('qom-list', { path: folder })
    for (const child of Array.isArray(children) ? children as readonly unknown[] : []) {
      if (typeof child !== 'object' || child === null || !('name' in child && 'type' in child) || !String(child.type).startsWith('child<')) continue
      const path = `${folder}/${String(child.name)}`
      const reply = await monitor.ask('qom-get', { path, property: 'bootindex' })
      if ('value' in reply && typeof reply.value === 'number') found.set(path, reply.value)
    }
  }
  return found
}
