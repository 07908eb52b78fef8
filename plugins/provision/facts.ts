/** What machines said, taken in: each fact moves its machine on, or is history. Late and repeated ones change nothing. */
import { hasCode } from '../../core/errors.ts'
import type { Fact, Logger, Tx } from '../../core/plugin.ts'
import type { MachineEvent, MachineRecord, MachineService } from '../machines/manifest.ts'
import type { NetworkService } from '../network/manifest.ts'
import { readInventory } from './inventory.ts'
import type { manifest } from './manifest.ts'
import { firstHeard, sessionOf, type Session } from './store.ts'

type ProvisionFact = Fact<typeof manifest.facts>
type Body<K extends ProvisionFact['kind']> = Extract<ProvisionFact, { readonly kind: K }>['body']

/** Stages whose success moves the machine on. */
const moves: Readonly<Record<string, MachineEvent>> = { installed: 'installed', released: 'released' }

export function createFacts (machines: MachineService, network: NetworkService, log: Logger) {
  /** The event, or a line of history when the machine is past it. */
  async function act (tx: Tx, machine: string, event: MachineEvent, details: Parameters<MachineService['act']>[3] = {}): Promise<void> {
    try { await machines.act(tx, machine, event, details) } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return
      if (!hasCode(error, 'TRANSITION_INVALID')) throw error
      await machines.record(tx, machine, { type: 'provision', level: 'debug', message: `Heard "${event}" too late to matter: ${(error as Error).message}` })
    }
  }
  /** Whether the token is the machine's own, now. A machine that was removed, or has a new session, is not spoken for by an old one. */
  async function current (tx: Tx, { machine, token }: { readonly machine: string, readonly token: string }): Promise<Session | undefined> {
    const session = await sessionOf(tx, machine)
    return session?.token === token ? session : undefined
  }
  const vlanOf = async (tx: Tx, address: string) => (await network.subnetOf(tx, address))?.vlanId ?? null

  async function enlisted (tx: Tx, { address, files }: Body<'enlisted'>): Promise<void> {
    const found = readInventory(files)
    if ('problem' in found) { log.warn({ address }, `a machine at ${address} could not be enlisted: ${found.problem}`); return }
    const { inventory, bootMac } = found
    await machines.enlist(tx, { macs: inventory.interfaces.map(({ mac }) => mac), bootMac, architecture: inventory.architecture, firmware: inventory.firmware, vlanId: await vlanOf(tx, address), inventory })
  }

  async function report (tx: Tx, { token, machine, stage, status, message, done, total, id }: Body<'report'>): Promise<void> {
    if (id !== undefined && !await firstHeard(tx, token, id)) return
    const level: MachineRecord['level'] = status === 'failed' ? 'error' : status === 'progress' ? 'debug' : 'info'
    await machines.record(tx, machine, { type: 'provision', level, message: `${stage}: ${message}`, data: { stage, status, ...(done === undefined ? {} : { done }), ...(total === undefined ? {} : { total }) } })
    const event = moves[stage]
    if (status === 'failed') await act(tx, machine, 'failed', { reason: `${stage}: ${message}` })
    else if (status === 'ok' && event) await act(tx, machine, event)
  }

  async function inventory (tx: Tx, { machine, address, files }: Body<'inventory'>): Promise<void> {
    const found = readInventory(files)
    if ('problem' in found) { await act(tx, machine, 'failed', { reason: found.problem }); return }
    await machines.saveInventory(tx, machine, found.inventory, await vlanOf(tx, address))
    await act(tx, machine, 'commissioned')
  }

  return async function facts (tx: Tx, batch: readonly ProvisionFact[]): Promise<void> {
    for (const fact of batch) {
      if (fact.kind === 'enlisted') { await enlisted(tx, fact.body); continue }
      const session = await current(tx, fact.body)
      if (!session) continue
      if (fact.kind === 'report') await report(tx, fact.body)
      else if (fact.kind === 'inventory') { if (session.purpose === 'commission') await inventory(tx, fact.body) } // a deployed system, whoever rules it, does not say what the machine is
      else await act(tx, fact.body.machine, 'deployed', { hostKeys: fact.body.hostKeys })
    }
  }
}
