/** A process full of simulated BMCs, each behind a gate that can hold back what a BMC answers, to be told over IPC. Runs in a namespace of its own. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { startBmc, type Bmc } from '../../sim/bmc/bmc.ts'
import { createNothing } from '../../sim/machine/nothing.ts'

/** `hold`: answers wait from the moment that is said: `switched`: the machine's power went on or off; `looked`: a BMC was asked for its system. On the connections there are; new ones pass. */
export type Order = { readonly id: number } & (
  | { readonly ask: 'make', readonly name: string, readonly state: 'on' | 'off' }
  | { readonly ask: 'hold', readonly name: string, readonly when: 'switched' | 'looked' }
  | { readonly ask: 'release' | 'tell' | 'shut' | 'open', readonly name: string }
  | { readonly ask: 'set', readonly name: string, readonly state: 'on' | 'off' })
/** `held`: an answer waits; `from`: the address of whoever it is for. `resets`: what was asked of it. */
export interface Told { readonly port: number, readonly state: 'on' | 'off', readonly switches: number, readonly held: boolean, readonly from: string | null, readonly resets: readonly string[], readonly logins: number }

const host = process.argv[2] ?? '127.0.0.1'
interface Gate { readonly bmc: Bmc, readonly machine: ReturnType<typeof createNothing>, port: number, hold: 'switched' | 'looked' | undefined, holding: boolean, from: string | null, server: ReturnType<typeof createServer>, readonly held: Set<Held> }
interface Held { readonly near: Socket, readonly pieces: Buffer[], held: boolean }
const gates = new Map<string, Gate>()

async function make (name: string, state: 'on' | 'off'): Promise<Gate> {
  const machine = createNothing({ name, state })
  const gate: Gate = { machine, port: 0, hold: undefined, holding: false, from: null, held: new Set(), server: createServer(), bmc: await startBmc({ machine, redfish: { tls: false } }) }
  machine.watch(({ event }) => { if (gate.hold === 'switched' && (event === 'on' || event === 'off')) { gate.hold = undefined; for (const one of gate.held) one.held = true; gate.holding = true } })
  gate.server.on('connection', near => {
    const far = connect(gate.bmc.redfish?.port ?? 0, '127.0.0.1')
    const one: Held = { near, pieces: [], held: false }
    gate.held.add(one)
    near.on('data', piece => {
      const said = piece.toString('latin1')
      if (gate.hold === 'looked' && /^GET \/redfish\/v1\/Systems\/[^ /]+\/? /.test(said)) { gate.hold = undefined; one.held = true; gate.holding = true; gate.from = near.remoteAddress ?? null }
      if (said.startsWith('POST') && said.includes('.Reset')) gate.from = near.remoteAddress ?? null
      far.write(piece)
    })
    far.on('data', piece => { if (one.held) one.pieces.push(piece); else near.write(piece) })
    for (const [a, b] of [[near, far], [far, near]] as const) { a.on('error', () => { b.destroy() }); a.on('close', () => { gate.held.delete(one); b.destroy() }) }
  })
  await listen(gate)
  gates.set(name, gate)
  return gate
}
const listen = (gate: Gate): Promise<void> => new Promise(resolve => { gate.server.listen(gate.port, host, () => { gate.port = (gate.server.address() as AddressInfo).port; resolve() }) })

async function carryOut (order: Order): Promise<Told> {
  const gate = order.ask === 'make' ? await make(order.name, order.state) : gates.get(order.name)
  if (gate === undefined) throw new TypeError(`no BMC ${order.name}`)
  switch (order.ask) {
    case 'hold': gate.hold = order.when; gate.holding = false; break
    case 'release': gate.holding = false; for (const one of gate.held) if (one.held) { one.held = false; for (const piece of one.pieces.splice(0)) one.near.write(piece) } break
    case 'shut': for (const one of gate.held) one.near.destroy(); await new Promise(resolve => { gate.server.close(resolve) }); break
    case 'open': await listen(gate); break
    case 'set': gate.machine.set(order.state); break
    default:
  }
  const { log, machine } = { log: gate.bmc.log, machine: gate.machine }
  return { port: gate.port, state: machine.state(), switches: machine.switches(), held: gate.holding, from: gate.from, resets: log.filter(line => line.includes('.Reset')), logins: log.filter(line => /^POST .*Sessions$/.test(line)).length }
}

process.on('message', (order: Order) => {
  carryOut(order).then(told => process.send?.({ id: order.id, told }), (error: unknown) => process.send?.({ id: order.id, error: String(error) }))
})
process.send?.({ ready: true })
