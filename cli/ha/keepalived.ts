/** Keepalived's configuration for one node of the cluster: who holds the floating address. Pure. */
import { isIP } from 'node:net'
import { comment, endpoint } from './cluster.ts'
import type { Cluster, Region, Vip } from './cluster.ts'
import { healthPort } from './haproxy.ts'

export interface KeepalivedOptions {
  readonly vip: Vip
  readonly node: Region // one of the cluster's
  readonly interface: string
  readonly routerId?: number // virtual router, 1 to 255; 51
  /** Up to 8 characters: VRRP 2 with a password, for networks that want one. It costs a second, see below. */
  readonly password?: string | undefined
  /** Told to each other's addresses instead of by multicast. */
  readonly unicast?: boolean
  /** The nodes answer DNS on the floating address too. */
  readonly dns?: boolean
  /** Without HAProxy: clients reach the region of the node that holds the address. */
  readonly direct?: boolean
  readonly healthPort?: number // of HAProxy on loopback
}

/**
 * The first nodes 20 apart, so that the moments at which they would take a free address are 40 ms apart and only one does; further ones by one each. From the
 * highest to the lowest it is less than a check weighs, and together the checks weigh less than the lowest has.
 */
const priorities = [254, 234, 214, 194] as const
const lowest = 184
const weights = { region: -71, dns: -112 } as const
const interval = 0.5 // s between advertisements; VRRP 3 counts in hundredths, VRRP 2 in whole seconds
/** The priority of a node, by age. */
export function priorityOf ({ regions }: Cluster, node: Region): number {
  const index = regions.findIndex(({ id }) => id === node.id)
  return priorities[index] ?? Math.max(lowest, 194 - (index - priorities.length + 1))
}

/** The addresses the nodes tell each other by when multicast is not to be had: of the floating address's family. */
export const peersOf = ({ regions }: Cluster, vip: Vip): { readonly region: Region, readonly address: string | undefined }[] =>
  regions.map(region => ({ region, address: region.address !== undefined && isIP(region.address) === isIP(vip.address) ? region.address : undefined }))

/** The whole file, another one for each node. Changes only with what is in `cluster` and `options`. */
export function renderKeepalived (cluster: Cluster, { vip, node, interface: device, routerId = 51, password, unicast = false, dns = false, direct = false, healthPort: health = healthPort }: KeepalivedOptions): string {
  const priority = priorityOf(cluster, node)
  const nopreempt = !direct && !dns
  const scripts = [
    ...direct
      ? []
      : [script('haproxy', `http://127.0.0.1:${health}/`, 'HAProxy on this node. Without it the address is of no use here: the node gives it up at once (no weight).')],
    script('region', `http://${endpoint(loopback(vip), node.port)}/readyz`, direct
      ? 'The region on this node, ready or not. A weight, so that the address stands somewhere even when no region is ready.'
      : 'The region on this node. Only a weight when a holder is elected: HAProxy here serves through the other regions too.', weights.region),
    ...dns ? [check('dns', `/usr/bin/dig +time=1 +tries=1 @${loopback(vip)} . SOA`, 'DNS on this node: any answer will do. Package bind9-dnsutils (Debian, Ubuntu). Weighs more than the region.', weights.dns)] : []
  ]
  const left = peersOf(cluster, vip).filter(({ region, address }) => unicast && region.id !== node.id && address === undefined)
  return `# Bedplate: the floating address ${vip.address} on node ${comment(node.hostname)}. Printed by "bedplate ha keepalived", another one for each node; print it again
# after a region joined or left.
#   put it in   /etc/keepalived/keepalived.conf     (Debian, Ubuntu: apt-get install keepalived curl)
#   check it    keepalived -t -f /etc/keepalived/keepalived.conf
#   load it     systemctl reload keepalived
#
# Only VRRP is used: the kernel module ip_vs is not needed ("keepalived --vrrp" does not ask for it).
${left.map(({ region }) => `# LEFT OUT: region ${comment(region.hostname)} (${comment(region.id)}): no IPv${isIP(vip.address)} address of it is known; set rpc.advertise there.\n`).join('')}
global_defs {
    router_id ${node.name}
    # Only what nobody but root can change is run, and it becomes nobody (65534) before it asks anything. Said by setpriv and not by script_user,
    # over which the checker of keepalived 2.2.7 (Debian 12) ends itself.
    script_user root
    enable_script_security
    # advertisements go out in time even while this node is busy: the others wait for three of them
    vrrp_priority -20
    vrrp_version ${password === undefined ? 3 : 2}
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
    vrrp_garp_master_refresh 30
}

${scripts.join('\n')}
vrrp_instance bedplate {
    interface ${device}
    virtual_router_id ${routerId}
    # Every node starts as BACKUP, and priorities differ (oldest region first): exactly one is elected.
    state BACKUP
    priority ${priority}
${nopreempt
  ? '    # A node that comes back leaves the address where it is: each move breaks the connections of that moment.\n    nopreempt\n'
  : `    # The address moves to a better node, and back: ${direct ? 'a region that is not ready' : 'a node whose DNS does not answer'} must lose it, but only to one that is better.\n`}
${password === undefined
  ? `    # VRRP 3: no password (RFC 5798 has none; that of VRRP 2 crosses the wire in the clear), and a holder that is gone is replaced after
    # 3 x ${interval} s and at most ${interval} s more, by priority.
    advert_int ${interval}
`
  : `    # VRRP 2, for its password: the same on all nodes, readable on the wire. It counts in whole seconds: a holder that is gone is replaced
    # after 3 to 4 s. Without --password it takes 2.
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass ${password}
    }
`}${unicast ? peers(cluster, vip, node) : ''}    virtual_ipaddress {
        ${vip.address}/${vip.prefix} dev ${device}${isIP(vip.address) === 6 ? ' preferred_lft forever' : ''}
    }
    track_script {
${[...direct ? [] : ['bedplate_haproxy'], 'bedplate_region', ...dns ? ['bedplate_dns'] : []].map(name => `        ${name}\n`).join('')}    }
}
`
}

const loopback = (vip: Vip): string => isIP(vip.address) === 6 ? '::1' : '127.0.0.1'

const script = (name: string, url: string, why: string, weight = 0): string =>
  check(name, `/usr/bin/curl --disable --fail --silent --output /dev/null --max-time 1 --globoff ${url}`, why, weight)

/** Two failures in a row, a second apart, count; so do two successes. */
const check = (name: string, command: string, why: string, weight: number): string => `# ${why}
vrrp_script bedplate_${name} {
    script "/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs ${command}"
    interval 1
    timeout 2
    fall 2
    rise 2
${weight === 0 ? '' : `    weight ${weight}\n`}}
`

function peers (cluster: Cluster, vip: Vip, node: Region): string {
  const all = peersOf(cluster, vip).flatMap(({ region, address }) => address === undefined ? [] : [{ region, address }])
  const own = all.find(({ region }) => region.id === node.id)
  const others = all.filter(({ region }) => region.id !== node.id)
  if (own === undefined || others.length === 0) return '    # told to nobody: there is no other node\n'
  return `    # for networks without multicast; only these are listened to
    unicast_src_ip ${own.address}
    check_unicast_src
    unicast_peer {
${others.map(({ address }) => `        ${address}\n`).join('')}    }
`
}
