/** Runs inside the machines' namespace: the virtual machines and their BMCs. Its specification comes as JSON in the first argument; what happens goes out as JSON lines. */
import { createBmc, type Account } from './bmc.ts'
import { createMachine, type BootDevice, type MachineSpec } from './vm.ts'

export interface HypervisorSpec { readonly account: Account, readonly machines: readonly (MachineSpec & { readonly bmc: { readonly host: string, readonly port: number }, readonly order: BootDevice })[] }
export interface HypervisorLine { readonly machine: string, readonly line: string }

const spec = JSON.parse(process.argv[2] ?? '{"machines":[]}') as HypervisorSpec
const say = (machine: string, line: string) => process.stdout.write(`${JSON.stringify({ machine, line } satisfies HypervisorLine)}\n`)
const machines = await Promise.all(spec.machines.map(async machine => {
  const virtual = await createMachine(machine, machine.order, line => say(machine.name, line))
  await createBmc(virtual, spec.account, machine.bmc.host, machine.bmc.port)
  return virtual
}))
say('', 'ready')

const end = async () => { await Promise.all(machines.map(machine => machine.off())); process.exit(0) }
process.once('SIGTERM', () => { void end() })
process.once('SIGINT', () => {}) // Ctrl-C goes to the whole terminal group: the lab itself ends us, in order
process.stdin.once('end', () => { void end() }).resume() // the lab died: no machine may outlive it
