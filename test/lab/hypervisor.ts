/** Runs inside the machines' namespace: the virtual machines and their simulated BMCs. Its specification comes as JSON in the first argument; what happens goes out as JSON lines. */
import { startBmc } from '../../sim/bmc/bmc.ts'
import type { Account } from '../../sim/bmc/model.ts'
import { createQemu, type Bootable, type QemuSpec } from '../../sim/machine/qemu.ts'

export interface HypervisorSpec { readonly account: Account, readonly machines: readonly (QemuSpec & { readonly bmc: { readonly host: string, readonly redfish: number, readonly ipmi?: number }, readonly order: Bootable })[] }
export interface HypervisorLine { readonly machine: string, readonly line: string }

const spec = JSON.parse(process.argv[2] ?? '{"machines":[]}') as HypervisorSpec
const say = (machine: string, line: string) => process.stdout.write(`${JSON.stringify({ machine, line } satisfies HypervisorLine)}\n`)
const machines = await Promise.all(spec.machines.map(async machine => {
  const virtual = await createQemu(machine, machine.order, line => say(machine.name, line))
  const { host, redfish, ipmi } = machine.bmc
  await startBmc({ host, redfish: { port: redfish }, ...ipmi === undefined ? {} : { ipmi: { port: ipmi } }, account: spec.account, machine: virtual })
  return virtual
}))
say('', 'ready')

const end = async () => { await Promise.all(machines.map(machine => machine.off())); process.exit(0) }
process.once('SIGTERM', () => { void end() })
process.once('SIGINT', () => {}) // Ctrl-C goes to the whole terminal group: the lab itself ends us, in order
process.stdin.once('end', () => { void end() }).resume() // the lab died: no machine may outlive it
