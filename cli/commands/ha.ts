/** `bedplate ha`: configuration for what stands in front of the regions, of the cluster as it is now. */
import { InvalidArgumentError } from 'commander'
import { hostname as systemName, networkInterfaces } from 'node:os'
import { Failure } from '../failure.ts'
import type { Client } from '../client.ts'
import { clusterOf, isSame, vipOf, within } from '../ha/cluster.ts'
import type { Cluster, Known, Region, Vip } from '../ha/cluster.ts'
import { renderHaproxy } from '../ha/haproxy.ts'
import { peersOf, priorityOf, renderKeepalived } from '../ha/keepalived.ts'
import type { Noun } from '../session.ts'

interface HaproxyFlags { readonly vip?: Vip, readonly onVip?: boolean, readonly port?: number, readonly certificate?: string, readonly runDirectory?: string, readonly healthPort?: number }
interface KeepalivedFlags { readonly vip: Vip, readonly node?: string, readonly interface?: string, readonly routerId?: number, readonly password?: string, readonly unicast?: boolean, readonly dns?: boolean, readonly direct?: boolean, readonly healthPort?: number }

const refusal = (sentence: string): never => { throw new InvalidArgumentError(sentence) }
const matching = (pattern: RegExp, sentence: string) => (text: string): string => pattern.test(text) ? text : refusal(sentence)
const whole = (least: number, most: number) => (text: string): number => /^\d{1,5}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : refusal(`It must be a whole number from ${least} to ${most}.`)
const vip = (text: string): Vip => vipOf(text) ?? refusal('Write it as 10.0.0.10/24 or 2001:db8::10/64.')
const path = matching(/^\/[A-Za-z0-9/_.@+-]*$/, 'It must be an absolute path of letters, digits and /_.@+-.')

export const haCommands: Noun = (program, on) => {
  const noun = program.command('ha').description('configuration for the front door of several regions: HAProxy and keepalived')

  on<HaproxyFlags>(noun.command('haproxy').description('print HAProxy\'s configuration, the same for every node')
    .option('--vip <address>', 'the floating address (10.0.0.10/24): regions are reached in its network where they have an address there', vip)
    .option('--on-vip', 'listen on the floating address alone').option('--port <port>', 'where clients come in; by default 80, or 443 with a certificate', whole(1, 65535))
    .option('--certificate <file>', 'PEM file with certificate and key on the nodes, for HTTPS', path)
    .option('--run-directory <folder>', 'folder of HAProxy\'s administration socket; by default /run/haproxy', path)
    .option('--health-port <port>', 'port of loopback where keepalived asks whether HAProxy lives; by default 5249', whole(1, 65535)), async ({ client, output }, _, flags) => {
    if (flags.onVip === true && flags.vip === undefined) throw new Failure('--on-vip needs --vip: which address?', { exitCode: 2 })
    const cluster = await clusterNow(client, flags.vip)
    const options = { ...flags, vip: undefined }
    output.text(renderHaproxy(cluster, flags), { ...described(cluster), ...options })
    complain(cluster.regions.filter(({ address }) => address === undefined))
  })

  on<KeepalivedFlags>(noun.command('keepalived').description('print keepalived\'s configuration, for one node')
    .requiredOption('--vip <address>', 'the floating address: 10.0.0.10/24', vip)
    .option('--node <hostname>', 'the node that it is for, a region by name or id; by default this host')
    .option('--interface <name>', 'network interface of the node that gets the address; on the node itself it is found', matching(/^[A-Za-z0-9_.:@-]{1,15}$/, 'An interface has a name like eth0 or bond0.12.'))
    .option('--router-id <number>', 'virtual router, the same on all nodes and used by nothing else in the network; by default 51', whole(1, 255))
    .option('--unicast', 'for networks without multicast').option('--direct', 'there is no HAProxy: clients reach the region of the node that has the address')
    .option('--dns', 'the nodes answer DNS on the address too: check it')
    .option('--password <password>', 'VRRP 2 with a password instead of VRRP 3; at most 8 characters, the same on all nodes', matching(/^[A-Za-z0-9_.:@%+=-]{1,8}$/, 'It is 1 to 8 letters, digits or _.:@%+=-: VRRP takes no more.'))
    .option('--health-port <port>', 'port of loopback where HAProxy says that it lives; by default 5249', whole(1, 65535)), async ({ client, output }, _, { node: name, interface: device, ...flags }) => {
    const cluster = await clusterNow(client, flags.vip)
    const node = nodeOf(cluster, name)
    const taken = cluster.regions.find(({ address }) => address !== undefined && isSame(address, flags.vip.address))
    if (taken !== undefined) throw new Failure(`${flags.vip.address} is the address of region ${taken.hostname}. The floating address must be one that no host has.`, { exitCode: 2 })
    const options = { ...flags, node, interface: device ?? interfaceFor(flags.vip, node, name !== undefined) }
    output.text(renderKeepalived(cluster, options), { ...described(cluster), ...options, node: node.name, priority: priorityOf(cluster, node) })
    if (flags.unicast === true) complain(peersOf(cluster, flags.vip).flatMap(({ region, address }) => address === undefined ? [region] : []))
  })
}

async function clusterNow (client: Client, vip: Vip | undefined): Promise<Cluster> {
  const { items } = await client.get<{ readonly items: readonly Known[] }>('/controllers')
  const cluster = clusterOf(items, vip)
  if (cluster.regions.length === 0) throw new Failure('No region is registered, so there is nothing to put a front door before. "bedplate controller list" shows what is.')
  return cluster
}

/** The configuration is printed without them, but nobody may take it for whole. */
function complain (left: readonly Region[]): void {
  if (left.length === 0) return
  throw new Failure(`Left out, for no address is known that other hosts reach: ${left.map(({ hostname }) => hostname).join(', ')}. Set rpc.advertise (or http.host) there and print this again.`)
}

/** The region named; else the one that is this host, by its name or its address. */
function nodeOf ({ regions }: Cluster, given: string | undefined): Region {
  const name = given ?? systemName()
  const named = regions.filter(({ id, hostname, name: short }) => id === name || hostname === name || short === name)
  const found = named.length === 0 && given === undefined ? regions.filter(isHere) : named
  if (found.length === 1 && found[0] !== undefined) return found[0]
  const among = regions.map(({ hostname, id }) => `${hostname} (${id})`).join(', ')
  throw new Failure(found.length > 1 ? `"${name}" names ${found.length} regions: say which by its id with --node: ${among}.` : `${given === undefined ? `This host, ${name},` : name} is no region. Say with --node which one it is for: ${among}.`, { exitCode: 2 })
}

/** This host's interfaces that have an address that `fits`. */
const interfacesWith = (fits: (address: string) => boolean): string[] => Object.entries(networkInterfaces()).filter(([, list = []]) => list.some(({ address, internal }) => !internal && fits(address))).map(([name]) => name)
const isHere = ({ address }: Region): boolean => address !== undefined && interfacesWith(one => isSame(one, address)).length > 0

/** The node's interface that is in the floating address's network, if the node is this host. */
function interfaceFor (vip: Vip, node: Region, given: boolean): string {
  if (given && !isHere(node)) throw new Failure('Say with --interface which interface of that node gets the address.', { exitCode: 2 })
  const found = interfacesWith(address => within(address, vip))
  if (found.length === 1 && found[0] !== undefined) return found[0]
  throw new Failure(`${found.length === 0 ? 'No interface' : 'More than one interface'} of this host is in the network of ${vip.address}/${vip.prefix}: say which with --interface.`, { exitCode: 2 })
}

const described = (cluster: Cluster) => ({ vip: cluster.vip, regions: cluster.regions.map(region => ({ ...region, priority: priorityOf(cluster, region) })) })
