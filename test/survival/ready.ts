/** Where every cell begins: an installation with one commissioned, allocated machine, all switched off; made once and copied. */
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { project } from '../lab/controller.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import { bmc, clean, copyState, createWorld, halt, machine, type Remains } from './world.ts'

export const cache = join(project, '.cache/survival')
interface MachineView { readonly id: string, readonly status: string, readonly reason: string | null, readonly power: { readonly state: string } }

/** The folder of that state for this image; commissions a machine when there is none yet, or when `anew`. */
export async function ready (o: { readonly image: string, readonly firmware: Firmware, readonly anew: boolean, readonly folder?: string, readonly remains: Remains, say(line: string): void, hear(line: string): void }): Promise<string> {
  const folder = o.folder ?? join(cache, `ready-${o.firmware}-${basename(o.image)}`)
  if (o.anew) await rm(folder, { recursive: true, force: true })
  else if (await access(folder).then(() => true, () => false)) return folder
  try {
    const world = await createWorld(o.remains, { firmware: o.firmware, image: o.image, say: o.say, hear: o.hear })
    await world.whole()
    o.say('commissioning the machine')
    const { id } = await world.api.send<MachineView>('POST', '/api/v1/machines', { hostname: machine.name, macs: [machine.mac], power: { address: bmc } })
    const path = `/api/v1/machines/${id}`
    await world.api.send('POST', `${path}/commission`, {})
    const found = await world.api.until<MachineView>(path, 'the end of commissioning', 900, ({ status }) => status !== 'Commissioning')
    if (found.status !== 'Ready') throw new Error(`commissioning ended as ${found.status}: ${found.reason}`)
    await world.api.until<MachineView>(path, 'power off after commissioning', 60, ({ power }) => power.state === 'off')
    await world.api.send('POST', `${path}/allocate`, {})
    await halt(o.remains, o.say)
    const making = `${folder}.making`
    await rm(making, { recursive: true, force: true })
    await mkdir(making, { recursive: true })
    await copyState(world.directory, making)
    await rename(making, folder) // only a whole one has the name
    return folder
  } finally { await clean(o.remains, o.say) }
}
