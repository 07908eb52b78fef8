/** A simulated BMC as the conformance suite of power drivers takes one. */
import { redfish } from '../../../../../plugins/power/drivers/redfish.ts'
import { checked } from '../../../../../plugins/power/parameters.ts'
import { startBmc } from '../../../../../sim/bmc/bmc.ts'
import type { Profile } from '../../../../../sim/bmc/profile.ts'
import { createNothing } from '../../../../../sim/machine/nothing.ts'
import type { Subject } from '../../../../kit/conformance/power-driver.ts'

export const account = { user: 'root', password: 'calvin/&?%é' } as const

export async function startSubject (profile: Profile): Promise<Subject> {
  const machine = createNothing()
  const bmc = await startBmc({ profile, account, machine, redfish: {} })
  const { address } = checked(redfish, { address: bmc.redfish?.address(0) })
  return {
    parameters: { address, ...account },
    machine: {
      state: machine.state,
      set: machine.set,
      switches: machine.switches,
      bootedFrom: () => { const device = machine.bootedFrom(); return device === 'network' || device === 'disk' ? device : null }
    },
    hardware: {
      identity: { uuid: machine.hardware.uuid, manufacturer: profile.vendor, serial: machine.hardware.serial, bmcVersion: profile.bmc.version },
      sensor: { name: 'Inlet Temp', kind: 'temperature', value: 21, unit: '°C', status: 'ok' },
      logged: 'has lost its input',
      firmware: { name: 'System BIOS', version: '1.2.3', updateable: true },
      image: 'http://images.example/installer.iso',
      members: 1
    },
    faults: {
      wrongCredentials: { address, user: account.user, password: 'wrong' },
      unreachable: { address: 'http://127.0.0.1:9/redfish/v1/Systems/1', ...account },
      busy: times => { bmc.faults.busy = times },
      lie: () => { bmc.faults.lies = true },
      slow: ms => { bmc.faults.slow = ms },
      loseAnswer: () => { bmc.faults.loseAnswer = 1 }
    },
    close: bmc.close
  }
}
