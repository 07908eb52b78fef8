/** ComputerSystem (DSP0268): power state, reset, boot override, network interfaces. */
import type { BootDevice } from '../../machine/machine.ts'
import { losesAnswer, type Action, type Model, type System } from '../model.ts'
import type { BootTarget, ResetType } from '../profile.ts'
import { done, failure, link, members, object, root, unknownValue, type Answer, type Json, type Resource } from './answer.ts'
import type { Tasks } from './tasks.ts'

const devices: Readonly<Record<BootTarget, BootDevice | null>> = { None: null, Pxe: 'network', UefiHttp: 'network', Hdd: 'disk', Cd: 'cd', UsbCd: 'cd', Usb: 'usb', BiosSetup: 'setup' }
const actions: Readonly<Record<ResetType, Action | undefined>> = { On: 'on', ForceOn: 'on', ForceOff: 'off', ForceRestart: 'reset', GracefulRestart: 'reset', GracefulShutdown: 'shutdown', PowerCycle: 'cycle', PushPowerButton: 'button', Nmi: undefined }
const states = { on: 'On', off: 'Off', 'turning on': 'PoweringOn', 'turning off': 'PoweringOff' } as const

export function systemResources (model: Model, system: System, tasks: Tasks): Map<string, Resource> {
  const { profile, faults } = model
  const { machine } = system
  const path = `${root}/Systems/${system.id}`
  const firmware = machine.hardware.firmware
  let mode = firmware === 'uefi' ? 'UEFI' : 'Legacy'
  const targetOf = (device: BootDevice | null): BootTarget => profile.bootTargets.find(target => devices[target] === device) ?? 'None'

  const get = (): Json => {
    const state = system.power()
    const next = machine.next()
    return {
      '@odata.type': '#ComputerSystem.v1_13_0.ComputerSystem', Id: system.id, Name: machine.hardware.name, SystemType: 'Physical', UUID: machine.hardware.uuid,
      Manufacturer: machine.hardware.manufacturer === 'Bedplate' ? profile.vendor : machine.hardware.manufacturer, Model: machine.hardware.manufacturer === 'Bedplate' && machine.hardware.model === 'Simulated' ? profile.model : machine.hardware.model,
      SerialNumber: machine.hardware.serial, SKU: machine.hardware.serial, PartNumber: 'BP-1', AssetTag: '', HostName: '', IndicatorLED: 'Off', BiosVersion: '1.2.3',
      Status: { State: 'Enabled', Health: 'OK', HealthRollup: 'OK' }, ...state === undefined ? {} : { PowerState: states[state] },
      ProcessorSummary: { Count: machine.hardware.processors, Model: 'Simulated', Status: { State: 'Enabled', Health: 'OK' } }, MemorySummary: { TotalSystemMemoryGiB: machine.hardware.memoryGiB, Status: { State: 'Enabled', Health: 'OK' } },
      Boot: {
        BootSourceOverrideEnabled: next === null ? 'Disabled' : next.lasting ? 'Continuous' : 'Once', BootSourceOverrideTarget: targetOf(next?.device ?? null), BootSourceOverrideMode: mode,
        'BootSourceOverrideTarget@Redfish.AllowableValues': profile.bootTargets, 'BootSourceOverrideMode@Redfish.AllowableValues': ['Legacy', 'UEFI']
      },
      ...profile.without.includes('EthernetInterfaces') ? {} : { EthernetInterfaces: link(`${path}/EthernetInterfaces`) },
      ...profile.log.under === 'system' && !profile.without.includes('LogServices') ? { LogServices: link(`${path}/LogServices`) } : {},
      ...profile.media.under === 'system' && !profile.without.includes('VirtualMedia') ? { VirtualMedia: link(`${path}/VirtualMedia`) } : {},
      Links: { Chassis: [link(`${root}/Chassis/${profile.ids.chassis}`)], ManagedBy: [link(`${root}/Managers/${profile.ids.manager}`)] },
      Actions: { '#ComputerSystem.Reset': { target: `${path}/Actions/ComputerSystem.Reset`, 'ResetType@Redfish.AllowableValues': profile.resetTypes } }
    }
  }

  const patch = (body: Json): Answer => {
    const boot = object(body.Boot)
    const { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled, BootSourceOverrideMode: wantedMode } = boot
    if (Object.keys(boot).length === 0) return 'AssetTag' in body || 'IndicatorLED' in body ? { status: 200, body: get() } : failure(400, 'The request holds no property that can be changed.', 'NoOperation')
    if (target !== undefined && !profile.bootTargets.some(one => one === target)) return unknownValue('BootSourceOverrideTarget', target)
    if (enabled !== undefined && enabled !== 'Once' && enabled !== 'Continuous' && enabled !== 'Disabled') return unknownValue('BootSourceOverrideEnabled', enabled)
    if (wantedMode !== undefined && wantedMode !== 'UEFI' && wantedMode !== 'Legacy') return unknownValue('BootSourceOverrideMode', wantedMode)
    if (profile.needsBootMode && target !== undefined && wantedMode === undefined) return failure(400, 'BootSourceOverrideMode must be given together with BootSourceOverrideTarget.', 'PropertyMissing')
    mode = wantedMode ?? mode
    const before = machine.next()
    const device = enabled === 'Disabled' ? null : target === undefined ? before?.device ?? null : devices[target as BootTarget]
    system.set({ device, lasting: enabled === undefined ? before?.lasting ?? false : enabled === 'Continuous', ...wantedMode === undefined ? {} : { uefi: wantedMode === 'UEFI' } })
    return { status: 200, body: get() }
  }

  const reset = (body: Json): Answer => {
    const type = profile.resetTypes.find(one => one === body.ResetType)
    if (type === undefined) return { ...unknownValue('ResetType', body.ResetType) }
    const action = actions[type]
    const [state, wanted] = [machine.state(), action === 'on' ? 'on' : action === 'off' || action === 'shutdown' ? 'off' : undefined]
    if (state === wanted && profile.alreadySo !== 204) return failure(profile.alreadySo, `The server is already powered ${state.toUpperCase()}.`, 'ActionNotSupported')
    const work = (): void => { if (action !== undefined) system.act(action) }
    const answer = profile.resets === 'as task' || faults.tasks ? tasks.begin(`Reset ${type}`, work, faults.taskFails) : done
    if (answer === done) work()
    return losesAnswer(faults) ? { ...answer, lost: true } : answer
  }

  const interfaces = `${path}/EthernetInterfaces`
  const resources = new Map<string, Resource>([
    [path, { get, patch, tagged: true }],
    [`${path}/Actions/ComputerSystem.Reset`, { post: reset }]
  ])
  if (!profile.without.includes('EthernetInterfaces')) {
    resources.set(interfaces, { get: () => ({ '@odata.type': '#EthernetInterfaceCollection.EthernetInterfaceCollection', Name: 'Ethernet Interfaces', ...members(machine.hardware.macs.map((_, index) => `${interfaces}/${index + 1}`)) }) })
    machine.hardware.macs.forEach((mac, index) => { resources.set(`${interfaces}/${index + 1}`, { get: () => ({ '@odata.type': '#EthernetInterface.v1_6_0.EthernetInterface', Id: String(index + 1), Name: `NIC ${index + 1}`, MACAddress: mac, PermanentMACAddress: mac, LinkStatus: 'LinkUp', SpeedMbps: 10_000, Status: { State: 'Enabled', Health: 'OK' } }) }) })
  }
  return resources
}
