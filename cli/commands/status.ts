/** `bedplate status`: how the region is, what is wrong, and which racks are linked. */
import { Failure } from '../failure.ts'
import type { Noun } from '../session.ts'

interface Trouble { readonly part: string, readonly state: string, readonly reason: string }
interface ServiceStatus { readonly name: string, readonly plugin?: string, readonly health: { readonly state: string, readonly reason?: string } }
export interface RackState { readonly rack: string, readonly plugin: string, readonly position: string, readonly acknowledgedAt: string, readonly error: string | null, readonly linked: boolean }
export interface Status {
  readonly controller: { readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly version: string }
  readonly phase: string, readonly ready: boolean, readonly notReady: readonly Trouble[], readonly degraded: readonly Trouble[]
  readonly services: readonly ServiceStatus[], readonly leading?: { readonly term: string }, readonly linkedRacks?: readonly string[], readonly racks: readonly RackState[]
}

export const statusCommands: Noun = (program, on) => {
  on(program.command('status').description('how this region and its racks are; fails when it is not ready'), async ({ client, output }) => {
    const status = await client.get<Status>('/status')
    output.item(status, [
      ['Controller', ({ controller }) => `${controller.hostname} (${controller.id})`],
      ['Version', ({ controller }) => controller.version],
      ['Roles', ({ controller }) => controller.roles],
      ['Phase', ({ phase }) => phase],
      ['Ready', ({ ready }) => ready ? 'yes' : 'no'],
      ['Leading', ({ leading }) => leading === undefined ? 'no' : `yes, term ${leading.term}`],
      ['Racks linked', ({ linkedRacks }) => linkedRacks],
      ...[...status.notReady, ...status.degraded].map(({ part, state, reason }) => [`  ${part}`, () => `${state}: ${reason}`] as const)
    ])
    if (!status.ready) throw new Failure(`${status.controller.hostname} is not ready.`)
  })
}
