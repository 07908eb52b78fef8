/** network in a real controller with both roles: this host's interfaces become facts, and facts become attachments. */
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import network from '../../../plugins/network/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { startDaemon } from '../../kit/daemon.ts'
import type { Daemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'

interface Attachments { readonly items: readonly { readonly rack: string, readonly interface: string, readonly subnetId: string }[], readonly unattached: readonly { readonly interface: string, readonly cidr: string, readonly hint: string }[] }

describe('a controller with both roles', () => {
  let daemon: Daemon
  beforeAll(async () => { daemon = await startDaemon({ plugins: [network], config: { network: { ignoreInterfaces: [] } } }) })
  afterAll(() => daemon.stop())
  const attachments = async (): Promise<Attachments> => (await daemon.request<Attachments>('GET', '/api/v1/network/attachments')).body

  it('lists this host as unattached, and attaches it when its subnet is added as the hint says', async () => {
    const here = Object.entries(networkInterfaces()).find(([, addresses = []]) => addresses.some(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.')))
    if (here === undefined) { // a host with no network but loopback: then that is what the list says
      expect(await attachments()).toEqual({ items: [], unattached: [] })
      return
    }
    const seen = await until(async () => (await attachments()).unattached.find(item => item.interface === here[0] && item.cidr.includes('.')))
    expect(seen.hint).toContain(`bedplate subnet create ${seen.cidr}`)
    const { status, body } = await daemon.request<{ id: string }>('POST', '/api/v1/network/subnets', { vlanId: '1', cidr: seen.cidr })
    expect(status).toBe(201)
    expect((await attachments()).items).toContainEqual(expect.objectContaining({ interface: here[0], subnetId: body.id, vlanId: '1', rack: daemon.kernel.status().controller.id }))
  })

  it('answers problems as every plugin does', async () => {
    expect(await daemon.request('GET', '/api/v1/network/subnets/none')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
    expect(await daemon.request('POST', '/api/v1/network/subnets', { vlanId: '1', cidr: '10.0.0.1/24' })).toMatchObject({ status: 422, body: { code: 'NETWORK_INVALID', type: 'urn:bedplate:error:NETWORK_INVALID' } })
  })
})

pluginConformance(network)
