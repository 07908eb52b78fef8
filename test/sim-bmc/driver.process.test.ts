/** The ipmi driver, as every driver is judged, against the simulated BMC: by 2.0 with two keys, and by 1.5. That the two do not merely share their mistakes: ipmitool.system.test.ts here, and the driver's own test against OpenIPMI. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { ipmi } from '../../plugins/power/drivers/ipmi.ts'
import { startBmc } from '../../sim/bmc/bmc.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { powerDriverConformance, type Subject } from '../kit/conformance/power-driver.ts'

async function subject (how: Readonly<Record<string, string>>, kg?: string): Promise<Subject> {
  const machine = createNothing()
  const bmc = await startBmc({ ipmi: kg === undefined ? {} : { kg }, profile: 'generic', machine, account: { user: 'root', password: 'calvin/&?%é' } })
  const nobody = createSocket('udp4').bind(0, '127.0.0.1') // takes everything and says nothing
  await once(nobody, 'listening')
  const credentials = { user: 'root', password: 'calvin/&?%é', ...how }
  const address = `ipmi://127.0.0.1:${bmc.ipmi?.port}`
  return {
    parameters: { address, ...credentials },
    machine: { state: machine.state, set: machine.set, switches: machine.switches, bootedFrom: () => { const device = machine.bootedFrom(); return device === 'network' || device === 'disk' ? device : null } },
    hardware: { identity: { uuid: machine.hardware.uuid, manufacturer: 'Bedplate', model: 'Simulated', serial: machine.hardware.serial }, sensor: { name: 'Inlet Temp', kind: 'temperature', value: 21, status: 'ok' }, logged: 'power supply 0x11: lost its input' },
    faults: {
      wrongCredentials: { address, ...credentials, password: 'wrong' }, unreachable: { address: `ipmi://127.0.0.1:${nobody.address().port}`, ...credentials },
      busy (times) { bmc.faults.busy = times }, lie () { bmc.faults.lies = true }, slow (ms) { bmc.faults.slow = ms }, loseAnswer () { bmc.faults.loseAnswer = 1 }
    },
    async close () { nobody.close(); await bmc.close() }
  }
}
powerDriverConformance(ipmi, () => subject({ kg: 'another key' }, 'another key'))
powerDriverConformance(ipmi, () => subject({ lan: '1.5' }))
