/** Others' Redfish clients, OpenStack's sushy and DMTF's redfishtool, understand the simulated BMC; sushy trusts its certificate. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startBmc, type Bmc } from '../../sim/bmc/bmc.ts'
import { judges, ran } from './programs.ts'

let home = ''
beforeAll(async () => { await judges(); home = await mkdtemp(join(tmpdir(), 'bedplate-redfish-')) })
afterAll(async () => { await rm(home, { recursive: true }) })
const open: Bmc[] = []
afterEach(async () => { for (const bmc of open.splice(0)) await bmc.close() })
async function start (profile?: string): Promise<Bmc> {
  const bmc = await startBmc({ redfish: { tls: true }, ...profile === undefined ? {} : { profile } })
  open.push(bmc)
  return bmc
}

/** What a client of sushy's does, told as JSON. */
const script = `
import json, sys, sushy
url, certificate, drive = sys.argv[1:]
client = sushy.Sushy(url, username='admin', password='password', verify=certificate)
system = client.get_system_collection().get_members()[0]
told = {'uuid': system.uuid, 'mac': system.ethernet_interfaces.get_members()[0].mac_address, 'states': []}
def state():
    system.refresh(force=True)
    told['states'].append(system.power_state.value)
state()
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE, mode=sushy.BootSourceOverrideMode.UEFI)
state()
told['boot'] = [system.boot.target.value, system.boot.enabled.value, system.boot.mode.value]
system.reset_system(sushy.ResetType.ON)
state()
chassis = client.get_chassis_collection().get_members()[0]
told['temperatures'] = {one.name: one.reading_celsius for one in chassis.thermal.temperatures}
told['supplies'] = [one.line_input_voltage for one in chassis.power.power_supplies]
manager = client.get_manager_collection().get_members()[0]
told['version'] = manager.firmware_version
media = next((one for one in manager.virtual_media.get_members() if one.identity == drive), None)
told['media'] = []
for step in [lambda: media.insert_media('http://192.0.2.1/x.iso'), lambda: media.eject_media()] if drive != '' else []:
    step()
    media.refresh(force=True)
    told['media'].append(media.inserted)
told['firmware'] = {one.name: one.version for one in client.get_update_service().firmware_inventory.get_members()}
system.reset_system(sushy.ResetType.FORCE_OFF)
state()
print(json.dumps(told))
`

describe('sushy', () => {
  it.each(['generic', 'ilo5', 'supermicro', 'lenovo'])('drives a BMC like %s', async profile => {
    const bmc = await start(profile)
    const certificate = join(home, `${profile}.pem`)
    await writeFile(certificate, bmc.redfish?.certificate ?? '')
    const { media, bmc: { model, version } } = bmc.model.profile
    const drive = media.drives.find(({ id, types }) => types.includes('CD') && media.takes?.test(id) !== false)
    const { out, err } = await ran('/usr/bin/python3', ['-W', 'ignore', '-c', script, bmc.redfish?.url ?? '', certificate, media.by === 'oem' ? '' : drive?.id ?? ''], { home })
    expect(out, err).not.toBe('')
    expect(JSON.parse(out)).toEqual({
      uuid: bmc.machine.hardware.uuid, mac: bmc.machine.hardware.macs[0], states: ['Off', 'Off', 'On', 'Off'], boot: ['Pxe', 'Once', 'UEFI'], temperatures: { 'Inlet Temp': 23, 'CPU1 Temp': 48 }, supplies: [230],
      version, media: media.by === 'oem' ? [] : [true, false], firmware: { [model]: version, 'System BIOS': '1.2.3', 'Network adapter 1': '22.31.6' }
    })
    expect(bmc.machine.boots()).toEqual(['network'])
    expect(bmc.machine.switches()).toBe(2)
  })
})

describe('redfishtool', () => {
  it('switches the machine and reads it, by Basic and by a session', async () => {
    const bmc = await start()
    const tool = async (...args: string[]) => {
      const { code, out, err } = await ran('redfishtool', ['-r', `127.0.0.1:${bmc.redfish?.port}`, '-S', 'Always', '-u', 'admin', '-p', 'password', ...args], { home })
      expect(code, `${args.join(' ')}: ${err}`).toBe(0)
      return out
    }
    await tool('Systems', '-I', '1', 'setBootOverride', 'Once', 'Pxe')
    await tool('Systems', '-I', '1', 'reset', 'On')
    expect(bmc.machine.bootedFrom()).toBe('network')
    expect(JSON.parse(await tool('-A', 'Session', 'Systems', '-I', '1', '-P', 'PowerState'))).toEqual({ PowerState: 'On' })
    expect(bmc.log).toContain('POST /redfish/v1/SessionService/Sessions')
    expect(bmc.redfish?.sessions.size, 'it has logged out').toBe(0)
    expect(JSON.parse(await tool('Chassis', '-I', '1', 'Thermal')).Fans[0]).toMatchObject({ Name: 'Fan1', Reading: 5400 })
    expect(await tool('Managers', '-I', '1', 'Logs')).toContain('/redfish/v1/Managers/1/LogServices/SEL')
  })
})
