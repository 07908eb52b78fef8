/** redfish: BMCs by DMTF Redfish (DSP0266): ComputerSystem.Reset, one-time boot, PowerState. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { parseAddress } from '../address.ts'
import { defineDriver, type Options } from '../driver.ts'
import type { PowerActionName, PowerStateName } from '../manifest.ts'
import { withRedfish, type Redfish } from './redfish/session.ts'
import { resetTypeFor, stateOf, systemFrom, type System } from './redfish/system.ts'

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'URL of the BMC, or of one system on it: https://host[:port][/redfish/v1/Systems/1]. May begin with redfish+ and hold user:password@.' }),
  user: Type.Optional(Type.String({ maxLength: 128, title: 'User name' })),
  password: Type.Optional(Type.String({ maxLength: 256, title: 'Password', writeOnly: true })),
  tls: Type.Optional(Type.String({ pattern: '^(verify|insecure|sha256:([0-9a-fA-F]{2}:?){32})$', default: 'verify', title: 'Certificate', description: 'verify: it must be signed by a known authority. sha256:<fingerprint>: it must be exactly this one. insecure: any.' }))
}, { additionalProperties: false })

export const redfish = defineDriver({
  name: 'redfish',
  title: 'Redfish',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'], // ForceRestart and PowerCycle cannot be repeated safely; off and on can
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { url, ...credentials } = parseAddress(address)
    return { address: url, ...credentials, ...rest }
  },

  endpoint ({ address }) {
    const { protocol, hostname, port } = new URL(address)
    return { by: 'tcp', host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) }
  },

  async query (parameters, options) {
    return await withRedfish(parameters, options, async bmc => stateOf(await read(bmc, await findSystem(bmc))))
  },

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action })
    return await withRedfish(parameters, options, async bmc => {
      const path = await findSystem(bmc)
      const wanted = action === 'on' ? 'on' : 'off'
      const system = await read(bmc, path)
      if (stateOf(system) !== wanted) {
        if (action === 'on' && options.boot !== null) await bootOnce(bmc, path, system, options.boot)
        await bmc.request('POST', system.resetTarget, { body: { ResetType: resetTypeFor(system, action) } })
        await reach(bmc, path, action, wanted, options)
      }
      return { state: wanted }
    })
  }
})

/** The system the address names, or the only one there is. */
async function findSystem (bmc: Redfish): Promise<string> {
  if (bmc.system !== undefined) return bmc.system
  const { body } = await bmc.request('GET', bmc.root.systems)
  const members = (Array.isArray(body.Members) ? body.Members : []).flatMap((member: unknown) => typeof member === 'object' && member !== null && '@odata.id' in member ? [String(member['@odata.id'])] : [])
  const [only] = members
  if (only === undefined) throw new BedplateError('POWER_REFUSED', { reason: 'it has no system' })
  if (members.length > 1) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'redfish', reason: `this BMC has several systems; put one into the address: ${members.join(', ')}` })
  return only
}

const read = async (bmc: Redfish, path: string): Promise<System> => {
  const { body, etag } = await bmc.request('GET', path)
  return systemFrom(path, body, etag)
}

/** Sets the device of the next boot alone; the firmware's mode (BIOS or UEFI) stays. Read again and repeated once when somebody else changed the system meanwhile. */
async function bootOnce (bmc: Redfish, path: string, system: System, boot: 'network' | 'disk'): Promise<void> {
  const patch = (now: System) => bmc.request('PATCH', path, {
    body: { Boot: { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: boot === 'network' ? 'Pxe' : 'Hdd', ...(now.bootMode === undefined ? {} : { BootSourceOverrideMode: now.bootMode }) } },
    ...(now.etag === undefined ? {} : { ifMatch: now.etag }),
    allow: [412, 428]
  })
  const { status } = await patch(system)
  if (status !== 412 && status !== 428) return
  const again = await patch(await read(bmc, path))
  if (again.status === 412 || again.status === 428) throw new BedplateError('POWER_FAILED', { action: 'on', reason: `the boot device could not be set: the system kept changing (HTTP ${again.status})` })
}

/** Looks until the state is the wanted one: a BMC's yes is no proof. */
async function reach (bmc: Redfish, path: string, action: PowerActionName, wanted: PowerStateName, { clock, pace, signal }: Options): Promise<void> {
  const limit = action === 'shutdown' ? pace.shutdown : pace.settle
  const end = clock.monotonic() + limit
  for (;;) {
    const state = stateOf(await read(bmc, path), 'settled')
    if (state === wanted) return
    if (clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action, reason: `the BMC accepted it, but ${Math.round(limit / 1000)} s later the machine is still ${state}` })
    await clock.sleep(pace.poll, signal)
    if (signal.aborted) throw new BedplateError('POWER_FAILED', { action, reason: `there was no time left to see the machine ${wanted}; it was ${state}` })
  }
}
