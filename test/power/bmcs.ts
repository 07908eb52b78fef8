/** A process full of simulated BMCs, each behind a gate that can hold back what a BMC answers, to be told over IPC. Runs in a namespace of its own. */
import { startBmc, type Bmc } from '../../sim/bmc/bmc.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import type { Gate } from './gates/gate.ts'
import { openTcpGate } from './gates/tcp.ts'
import { openUdpGate } from './gates/udp.ts'

export type Protocol = 'redfish' | 'ipmi'
/** `hold`: answers wait from the moment that is said: `switched`: the machine's power went on or off; `looked`: a BMC was asked for its system (Redfish; what IPMI asks cannot be read). On the connections there are; new ones pass. */
export type Order = { readonly id: number } & (
  | { readonly ask: 'make', readonly name: string, readonly state: 'on' | 'off', readonly by: Protocol }
  | { readonly ask: 'hold', readonly name: string, readonly when: 'switched' | 'looked' }
  | { readonly ask: 'release' | 'tell' | 'shut' | 'open', readonly name: string }
  | { readonly ask: 'set', readonly name: string, readonly state: 'on' | 'off' })
/** `held`: an answer waits. `logins`: how many sessions were asked for over Redfish. */
export interface Told { readonly port: number, readonly state: 'on' | 'off', readonly switches: number, readonly held: boolean, readonly logins: number }

const host = process.argv[2] ?? '127.0.0.1'
interface Box { readonly bmc: Bmc, readonly machine: ReturnType<typeof createNothing>, readonly gate: Gate, hold: 'switched' | 'looked' | undefined, holding: boolean }
const boxes = new Map<string, Box>()

async function make (name: string, state: 'on' | 'off', by: Protocol): Promise<Box> {
  const machine = createNothing({ name, state })
  const bmc = await startBmc({ machine, ...by === 'ipmi' ? { ipmi: {} } : { redfish: { tls: false } } })
  /** Whether this is the moment. */
  const now = (moment: 'switched' | 'looked'): boolean => {
    if (box.hold !== moment) return false
    box.hold = undefined
    return box.holding = true
  }
  const gate = by === 'ipmi' ? await openUdpGate(host, bmc.ipmi?.port ?? 0) : await openTcpGate(host, bmc.redfish?.port ?? 0, said => /^GET \/redfish\/v1\/Systems\/[^ /]+\/? /.test(said) && now('looked'))
  const box: Box = { machine, bmc, gate, hold: undefined, holding: false }
  machine.watch(({ event }) => { if ((event === 'on' || event === 'off') && now('switched')) gate.hold() })
  boxes.set(name, box)
  return box
}

async function carryOut (order: Order): Promise<Told> {
  const box = order.ask === 'make' ? await make(order.name, order.state, order.by) : boxes.get(order.name)
  if (box === undefined) throw new TypeError(`no BMC ${order.name}`)
  switch (order.ask) {
    case 'hold': box.hold = order.when; box.holding = false; break
    case 'release': box.holding = false; box.gate.release(); break
    case 'shut': await box.gate.shut(); break
    case 'open': await box.gate.open(); break
    case 'set': box.machine.set(order.state); break
    default:
  }
  const { gate, bmc: { log }, machine } = box
  return { port: gate.port, state: machine.state(), switches: machine.switches(), held: box.holding, logins: log.filter(line => /^POST .*Sessions$/.test(line)).length }
}

process.on('message', (order: Order) => {
  carryOut(order).then(told => process.send?.({ id: order.id, told }), (error: unknown) => process.send?.({ id: order.id, error: String(error) }))
})
process.send?.({ ready: true })
