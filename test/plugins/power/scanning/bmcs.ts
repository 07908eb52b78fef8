/** A process with simulated BMCs on the ports real ones have. Arguments: one JSON of a Simulated each. */
import { startBmc } from '../../../../sim/bmc/bmc.ts'
import { createNothing } from '../../../../sim/machine/nothing.ts'

export interface Simulated { readonly host: string, readonly name: string, readonly uuid: string, readonly user: string, readonly password: string, readonly ipmi: boolean, readonly redfish: boolean }

for (const text of process.argv.slice(2)) {
  const { host, name, uuid, user, password, ipmi, redfish } = JSON.parse(text) as Simulated
  await startBmc({ host, account: { user, password, privilege: 'administrator' }, machine: createNothing({ name, hardware: { uuid } }), ...redfish ? { redfish: { port: 443, tls: true } } : {}, ...ipmi ? { ipmi: { port: 623 } } : {} })
}
process.send?.('ready')
process.once('disconnect', () => { process.exit(0) })
