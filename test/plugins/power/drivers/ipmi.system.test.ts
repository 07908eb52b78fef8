/** ipmi, as every driver is judged, against OpenIPMI's ipmi_sim. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { status } from '../../../../ipmi/completion.ts'
import { decodePlus, encodePlus, payloadType } from '../../../../ipmi/lanplus.ts'
import { decodeOpenRequest, encodeOpenResponse } from '../../../../ipmi/rakp.ts'
import { ipmi } from '../../../../plugins/power/drivers/ipmi.ts'
import { account, startOpenIpmi, uuid } from '../../../ipmi/openipmi.ts'
import { startRelay, type Passed } from '../../../ipmi/relay.ts'
import { powerDriverConformance } from '../../../kit/conformance/power-driver.ts'

/** The refusal of a BMC all of whose sessions are taken, for a datagram that asks for one. */
function noSession ({ from, datagram }: Passed): Buffer | undefined {
  const packet = from === 'console' ? decodePlus(datagram) : undefined
  const asked = packet?.payloadType === payloadType.openRequest ? decodeOpenRequest(packet.payload) : undefined
  return asked === undefined ? undefined : encodePlus(payloadType.openResponse, encodeOpenResponse({ tag: asked.tag, status: status.noResources, consoleId: asked.consoleId }))
}

powerDriverConformance(ipmi, async () => {
  const bmc = await startOpenIpmi()
  const relay = await startRelay(bmc.port)
  const nobody = createSocket('udp4').bind(0, '127.0.0.1') // takes everything and says nothing
  await once(nobody, 'listening')
  const address = `ipmi://127.0.0.1:${relay.port}`
  return {
    parameters: { address, ...account },
    machine: bmc.machine,
    hardware: {
      identity: { uuid, manufacturer: 'ACME', model: 'Anvil 9', serial: 'SN0042', bmcVersion: '9.08' },
      sensor: { name: 'MB Temp', kind: 'temperature', value: 142, unit: '°C', status: 'warning' },
      logged: 'memory 0x07: uncorrectable error'
    },
    faults: {
      wrongCredentials: { address, ...account, password: 'wrong' },
      unreachable: { address: `ipmi://127.0.0.1:${nobody.address().port}`, ...account },
      busy (times) {
        relay.decide = passed => {
          const refusal = times > 0 ? noSession(passed) : undefined
          if (refusal !== undefined) times--
          return refusal
        }
      },
      lie: bmc.lie,
      slow: () => { relay.decide = () => 'drop' }, // longer than anybody here waits
      loseAnswer () {
        const before = bmc.machine.switches()
        let lost = false
        relay.decide = ({ from }) => {
          if (lost || from === 'console' || bmc.machine.switches() === before) return undefined
          lost = true
          return 'drop'
        }
      }
    },
    async close () {
      nobody.close()
      await relay.close()
      await bmc.close()
    }
  }
})
