/** The virtual drive: what is in it, an image put in and taken out (DSP0268 VirtualMedia), with actions or, where there are none, by PATCH. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Media } from '../../driver.ts'
import { amend } from './amend.ts'
import { drivesFrom, fits, remedies, type Drive } from './drives.ts'
import { managerOf } from './identity.ts'
import { link } from '../../connection/json.ts'
import { quirksFor, systemOf } from './power.ts'
import { plain, type Quirks } from './quirks.ts'
import { explanation, forNow, propertiesIn } from './said.ts'
import { refuse } from './login.ts'
import type { Service } from './service.ts'
import { finished } from './task.ts'

interface Drives { readonly drives: readonly Drive[], readonly quirks: Quirks }

/** The drives an image can be put into: the system's, where they belong since Dell's iDRAC 6.00 and DSP0268 2020.4, or the manager's. POWER_UNSUPPORTED. */
async function drivesOf (service: Service): Promise<Drives> {
  const system = await service.get(await systemOf(service))
  const quirks = quirksFor(service, system)
  const own = drivesFrom(await service.members(link(system.body.VirtualMedia), 16), quirks)
  const drives = own.length > 0 ? own : drivesFrom(await service.members(link((await managerOf(service, system))?.body.VirtualMedia), 16), quirks)
  if (drives.length === 0) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: 'put an image into a virtual drive on this BMC: it has no drive that takes one' })
  return { drives, quirks }
}

export async function drive (service: Service): Promise<Media> {
  const { drives } = await drivesOf(service)
  return { image: drives.find(one => one.image !== null)?.image ?? null }
}

/** Puts the image in, or takes out what is in any drive (null); resolves once that is seen. Whatever else was in the drive is taken out first: few BMCs change it by themselves. POWER_UNSUPPORTED, POWER_REFUSED, POWER_FAILED. */
export async function insertImage (service: Service, image: string | null): Promise<Media> {
  const { drives, quirks } = await drivesOf(service)
  if (image === null) {
    for (const one of drives) await eject(service, one)
    return { image: null }
  }
  const there = drives.find(one => one.image === image)
  if (there !== undefined) return { image }
  const [into] = fits(drives, image)
  if (into === undefined) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: 'put this image into a virtual drive on this BMC: no drive takes its kind' })
  await eject(service, into)
  await put(service, into, image, quirks)
  await until(service, into, now => now !== null, 'the BMC accepted the image, but the virtual drive is still empty')
  return { image }
}

async function eject (service: Service, from: Drive): Promise<void> {
  if (from.image === null) return
  const answer = from.eject === undefined
    ? await amend(service, from.found, { Image: null, Inserted: false }, { action: 'eject' })
    : await service.request('POST', from.eject, { body: {}, allow: [400, 404, 409, 500] }) // iLO takes no POST without a body; what fails for the drive being empty by now is seen below
  await finished(service, answer, 'eject')
  await until(service, from, now => now === null, `the image is still in the virtual drive${answer.status >= 300 ? ` (HTTP ${answer.status}${explanation(answer.body)})` : ''}`)
}

/** Asks with as little as the schema wants, and adds what the BMC says is missing: some want the protocol, some credentials though the image needs none, and some refuse either. */
async function put (service: Service, into: Drive, image: string, quirks: Quirks): Promise<void> {
  let body: Record<string, unknown> = { Image: image, ...quirks.insert }
  if (into.insert === undefined) {
    await finished(service, await amend(service, into.found, { ...body, Inserted: true, WriteProtected: true }, { action: 'insert' }), 'insert')
    return
  }
  for (let attempt = 0; ; attempt++) {
    const answer = await service.request('POST', into.insert, { body, allow: [400, 422, 500], patient: true })
    const more = answer.status < 300 || forNow(answer.body) || attempt >= 4 ? {} : remedies(propertiesIn(answer.body), image, body)
    if (Object.keys(more).length === 0) {
      refuse(answer, 'POST', into.insert)
      await finished(service, answer, 'insert')
      return
    }
    body = { ...body, ...more }
  }
}

async function until (service: Service, { found }: Drive, reached: (image: string | null) => boolean, otherwise: string): Promise<void> {
  const { clock, pace, signal } = service.options
  const end = clock.monotonic() + pace.settle
  for (;;) {
    const [now] = drivesFrom([await service.get(found.path)], plain)
    if (reached(now?.image ?? null)) return
    if (clock.monotonic() >= end || signal.aborted) throw new BedplateError('POWER_FAILED', { action: 'insert', reason: otherwise })
    await clock.sleep(pace.poll, signal)
  }
}
