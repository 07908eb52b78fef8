/** Looking at a machine's power and switching it. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Reached, Start } from '../../driver.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'
import { bootOnce } from './boot.ts'
import { links, text } from '../../connection/json.ts'
import { refuse } from './login.ts'
import { quirksOf, type Quirks } from './quirks.ts'
import type { Found, Service } from './service.ts'
import { resetTypeFor, resetTypesIn, stateOf, systemFrom, type System } from './system.ts'
import { monitorOf, progress } from './task.ts'

/** The system the address names, or the only one there is. POWER_REFUSED, POWER_PARAMETERS_INVALID. */
export async function systemOf (service: Service): Promise<string> {
  const { system } = service
  const known = service.known.get(`system ${system ?? ''}`)
  if (typeof known === 'string') return known
  if (system !== undefined) return system
  const { body } = await service.get(service.root.systems)
  const members = links(body.Members)
  const [only] = members
  if (only === undefined) throw new BedplateError('POWER_REFUSED', { reason: 'it has no system' })
  if (members.length > 1) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'redfish', reason: `this BMC has several systems; put one into the address: ${members.slice(0, 20).join(', ')}${members.length > 20 ? ', …' : ''}` })
  service.known.set('system ', only)
  return only
}

/** What this maker does in its own way. */
export const quirksFor = (service: Service, system: Found): Quirks => quirksOf({ vendor: service.root.vendor, product: service.root.product, manufacturer: text(system.body.Manufacturer) })

/** The system as it is now. Where it tells no power state, its chassis does (iLO 6 1.70). */
async function now (service: Service, path: string): Promise<{ readonly found: Found, readonly system: System }> {
  const found = await service.get(path)
  if (found.path !== path && service.system === path) service.known.set(`system ${path}`, found.path)
  const system = systemFrom(found.path, found.body)
  const [chassis] = system.chassis
  if (system.powerState !== undefined || chassis === undefined) return { found, system }
  return { found, system: { ...system, powerState: text((await service.look(chassis))?.body.PowerState) } }
}

/** The power state. One request, on a BMC that is known. */
export async function look (service: Service): Promise<PowerStateName> {
  return stateOf((await now(service, await systemOf(service))).system)
}

/** Switches, if it must, and looks until the state is the wanted one: a BMC's yes is no proof. */
export async function switchTo (service: Service, action: 'on' | 'off' | 'shutdown', { boot, firmware }: Start): Promise<Reached> {
  const wanted = action === 'on' ? 'on' : 'off'
  const before = await settled(service, await systemOf(service))
  const { path } = before.found
  if (stateOf(before.system, 'settled') === wanted) return { state: wanted }
  const note = action === 'on' && boot !== null ? await bootOnce(service, before.found, before.system.settings, boot, firmware, quirksFor(service, before.found)) : undefined
  const resetTypes = before.system.resetTypes ?? resetTypesIn((await service.look(before.system.resetInfo))?.body ?? {})
  const answer = await service.request('POST', before.system.resetTarget, { body: { ResetType: resetTypeFor({ resetTypes }, action) }, allow: [400, 409] })
  if (answer.status >= 300) { // Dell and HPE refuse what is so already, as when somebody else was quicker
    if (stateOf((await now(service, path)).system, 'settled') === wanted) return { state: wanted }
    refuse(answer, 'POST', before.system.resetTarget)
  }
  await reach(service, path, action, wanted, monitorOf(answer))
  return { state: wanted, ...(note === undefined ? {} : { note }) }
}

/** The system once it is not on its way any more, or has been for too long: what is switched on while it goes off stays off. */
async function settled (service: Service, path: string): Promise<{ readonly found: Found, readonly system: System }> {
  const { clock, pace, signal } = service.options
  const end = clock.monotonic() + pace.settle
  for (;;) {
    const seen = await now(service, path)
    if (!/^Powering/.test(seen.system.powerState ?? '') || clock.monotonic() >= end || signal.aborted) return seen
    await clock.sleep(pace.poll, signal)
  }
}

async function reach (service: Service, path: string, action: PowerActionName, wanted: PowerStateName, monitor: string | undefined): Promise<void> {
  const { clock, pace, signal } = service.options
  const limit = action === 'shutdown' ? pace.shutdown : pace.settle
  const end = clock.monotonic() + limit
  for (let task = monitor; ;) {
    const state = stateOf((await now(service, path)).system, 'settled')
    if (state === wanted) return
    const work = task === undefined ? undefined : await progress(service, task)
    if (work?.ended === true && work.failure !== undefined) throw new BedplateError('POWER_FAILED', { action, reason: work.failure })
    if (work?.ended === true) task = undefined
    if (clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action, reason: `the BMC accepted it, but ${Math.round(limit / 1000)} s later the machine is still ${state}` })
    await clock.sleep(pace.poll, signal)
    if (signal.aborted) throw new BedplateError('POWER_FAILED', { action, reason: `there was no time left to see the machine ${wanted}; it was ${state}` })
  }
}
