/** Managers: the BMC itself, its virtual drives and its logs. */
import type { Machine } from '../../machine/machine.ts'
import type { LogRecord } from '../hardware.ts'
import type { Model } from '../model.ts'
import type { Drive, Profile } from '../profile.ts'
import { done, failure, link, members, root, type Answer, type Json, type Resource } from './answer.ts'

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000', '')

export function managerResources ({ profile, systems }: Model): Map<string, Resource> {
  const [system] = systems
  const path = `${root}/Managers/${profile.ids.manager}`
  const has = (part: 'VirtualMedia' | 'LogServices' | 'Manager.PowerState') => !profile.without.includes(part)
  const above = (under: 'manager' | 'system') => under === 'manager' ? path : `${root}/Systems/${system.id}`
  const resources = new Map<string, Resource>([[path, {
    get: () => ({
      '@odata.type': '#Manager.v1_10_0.Manager', Id: profile.ids.manager, Name: 'Manager', ManagerType: 'BMC', Model: profile.bmc.model, Manufacturer: profile.vendor, FirmwareVersion: profile.bmc.version, UUID: system.machine.hardware.uuid.replace(/^.{8}/, 'b3c00000'),
      ...has('Manager.PowerState') ? { PowerState: 'On' } : {}, Status: { State: 'Enabled', Health: 'OK' }, DateTime: new Date().toISOString(), DateTimeLocalOffset: '+00:00',
      ...profile.media.under === 'manager' && has('VirtualMedia') ? { VirtualMedia: link(`${path}/VirtualMedia`) } : {}, ...profile.log.under === 'manager' && has('LogServices') ? { LogServices: link(`${path}/LogServices`) } : {},
      EthernetInterfaces: link(`${path}/EthernetInterfaces`),
      Links: { ManagerForServers: systems.map(({ id }) => link(`${root}/Systems/${id}`)), ManagerForChassis: [link(`${root}/Chassis/${profile.ids.chassis}`)] },
      Actions: { '#Manager.Reset': { target: `${path}/Actions/Manager.Reset`, 'ResetType@Redfish.AllowableValues': ['GracefulRestart'] } }
    })
  }],
  [`${path}/Actions/Manager.Reset`, { post: () => done }],
  [`${path}/EthernetInterfaces`, { get: () => ({ '@odata.type': '#EthernetInterfaceCollection.EthernetInterfaceCollection', Name: 'Ethernet Interfaces', ...members([]) }) }]])
  if (has('VirtualMedia')) {
    const media = `${above(profile.media.under)}/VirtualMedia`
    resources.set(media, { get: () => ({ '@odata.type': '#VirtualMediaCollection.VirtualMediaCollection', Name: 'Virtual Media', ...members(profile.media.drives.map(({ id }) => `${media}/${id}`)) }) })
    for (const drive of profile.media.drives) for (const [at, resource] of driveResources(`${media}/${drive.id}`, drive, profile, system.machine)) resources.set(at, resource)
  }
  if (has('LogServices')) {
    const services = `${above(profile.log.under)}/LogServices`
    const service = `${services}/${profile.log.id}`
    resources.set(services, { get: () => ({ '@odata.type': '#LogServiceCollection.LogServiceCollection', Name: 'Log Services', ...members([service]) }) })
    resources.set(service, { get: () => ({ '@odata.type': '#LogService.v1_2_0.LogService', Id: profile.log.id, Name: 'System Event Log', LogEntryType: 'SEL', ServiceEnabled: true, MaxNumberOfRecords: 512, OverWritePolicy: 'WrapsWhenFull', Status: { State: 'Enabled', Health: 'OK' }, Entries: link(`${service}/Entries`), Actions: { '#LogService.ClearLog': { target: `${service}/Actions/LogService.ClearLog` } } }) })
    resources.set(`${service}/Actions/LogService.ClearLog`, { post: () => { system.log.clear(); return done } })
    resources.set(`${service}/Entries`, { get: () => ({ '@odata.type': '#LogEntryCollection.LogEntryCollection', Name: 'Log Entries', Members: system.log.records.map(record => entry(`${service}/Entries`, record)), 'Members@odata.count': system.log.records.length }) })
  }
  return resources
}

const entry = (path: string, { id, at, severity, message, sensor }: LogRecord): Json => ({ '@odata.id': `${path}/${id}`, '@odata.type': '#LogEntry.v1_7_0.LogEntry', Id: String(id), Name: `Log Entry ${id}`, EntryType: 'SEL', Created: iso(at), Severity: severity, Message: message, SensorNumber: sensor })

/** An entry of the log by its path; they come and go. */
export function logEntry ({ profile, systems: [system] }: Model, path: string): Resource | undefined {
  const entries = `${root}/${profile.log.under === 'manager' ? `Managers/${profile.ids.manager}` : `Systems/${system.id}`}/LogServices/${profile.log.id}/Entries`
  if (!path.startsWith(`${entries}/`) || profile.without.includes('LogServices')) return undefined
  const record = system.log.records.find(({ id }) => path === `${entries}/${id}`)
  return record === undefined ? undefined : { get: () => entry(entries, record) }
}

/** A virtual drive; the machine has one, which is that of the drive used last. */
function driveResources (path: string, { id, types }: Drive, { media }: Profile, machine: Machine): Map<string, Resource> {
  let mine = false // what is in the machine's drive came through this one
  let last = ''
  const image = (): string | null => mine ? machine.media() : null
  const get = (): Json => {
    const shown = image() ?? (media.keepsName && last !== '' ? last : null)
    return {
      '@odata.type': '#VirtualMedia.v1_3_2.VirtualMedia', Id: id, Name: `Virtual ${types.join('/')}`, MediaTypes: types, Image: shown, ImageName: shown === null ? null : shown.split('/').at(-1) ?? '', ConnectedVia: image() === null ? 'NotConnected' : 'URI', Inserted: image() !== null, WriteProtected: true,
      ...media.by === 'action' ? { Actions: { '#VirtualMedia.InsertMedia': { target: `${path}/Actions/VirtualMedia.InsertMedia` }, '#VirtualMedia.EjectMedia': { target: `${path}/Actions/VirtualMedia.EjectMedia` } } } : {},
      ...media.by === 'oem' ? { Oem: { Hpe: { '@odata.type': '#HpeiLOVirtualMedia.v2_2_0.HpeiLOVirtualMedia', BootOnNextServerReset: false, Actions: { '#HpeiLOVirtualMedia.InsertVirtualMedia': { target: `${path}/Actions/Oem/Hpe/HpeiLOVirtualMedia.InsertVirtualMedia` }, '#HpeiLOVirtualMedia.EjectVirtualMedia': { target: `${path}/Actions/Oem/Hpe/HpeiLOVirtualMedia.EjectVirtualMedia` } } } } } : {}
    }
  }
  const insert = (body: Json): Answer => {
    const missing = media.needs.find(name => body[name] === undefined)
    if (missing !== undefined) return failure(400, `The action needs the parameter ${missing}.`, 'ActionParameterMissing')
    const refused = media.refuses.find(name => body[name] !== undefined)
    if (refused !== undefined) return failure(400, `The property ${refused} is not in the list of valid properties for the resource.`, 'PropertyUnknown')
    if (media.takes?.test(id) === false) return failure(400, `The drive ${id} takes no URL.`, 'ActionNotSupported')
    const url = body.Image
    if (typeof url !== 'string' || !/^(https?|nfs|cifs|smb):\/\/\S+$/.test(url)) return failure(400, 'Image is no URL that it can read from.', 'PropertyValueFormatError')
    if (image() !== null) return failure(409, 'There is an image in the drive; eject it first.', 'ResourceInUse')
    mine = true
    last = url
    machine.insert(url)
    return done
  }
  const eject = (): Answer => {
    if (image() === null) return failure(400, 'The drive is empty.', 'InvalidOperation')
    mine = false
    machine.insert(null)
    return done
  }
  const patch = (body: Json): Answer => {
    if (body.Image === null || body.Inserted === false) return eject()
    const answer = insert(body)
    return answer === done ? { status: 200, body: get() } : answer
  }
  const vendor = `${path}/Actions/Oem/Hpe/HpeiLOVirtualMedia`
  return new Map<string, Resource>([
    [path, { get, ...media.by === 'patch' ? { patch, tagged: true } : {} }],
    ...media.by === 'action' ? [[`${path}/Actions/VirtualMedia.InsertMedia`, { post: insert }], [`${path}/Actions/VirtualMedia.EjectMedia`, { post: eject }]] as const : [],
    ...media.by === 'oem' ? [[`${vendor}.InsertVirtualMedia`, { post: insert }], [`${vendor}.EjectVirtualMedia`, { post: eject }]] as const : []
  ])
}
