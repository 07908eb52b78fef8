/** The statements of dhcpd.conf that Bedplate has no use for, and why. Data. */

/** Statements that say what is so anyway. */
export const idle = new Set(['authoritative', 'one-lease-per-client', 'ping-check', 'update-static-leases', 'local-port', 'use-host-decl-names', 'get-lease-hostnames', 'always-reply-rfc1048'])

const leaseTime = 'every lease of a subnet has the same time: set it with default-lease-time'
const files = 'leases are in PostgreSQL, and the log goes where the daemon\'s goes'
const names6 = 'DHCPv6 is set by VLAN: bedplate dhcp vlan enable --v6 stateless|stateful'
const classes = 'what depends on the client\'s class or on a condition has no place in Bedplate: a plugin can tap the chain instead'
const updates = 'DHCP does not write into name servers: the dns plugin is told of the leases'
const failover = 'racks need no failover peers: several racks serve a VLAN by their rank (bedplate dhcp vlan enable --rack A --rack B)'
/** Why the statements that begin with this word are not taken. */
export const reasons: Readonly<Record<string, string>> = {
  class: classes, subclass: classes, if: classes, elsif: classes, else: classes, switch: classes, case: classes, match: classes, spawn: classes, lease: 'a lease of another server is not taken over: its client asks anew',
  failover: failover, primary: failover, secondary: failover, peer: failover, mclt: failover, split: failover, 'load': failover,
  zone: updates, key: updates, 'ddns-update-style': updates, 'ddns-updates': updates, 'ddns-domainname': updates, 'ddns-rev-domainname': updates, 'ddns-hostname': updates, 'do-forward-updates': updates, 'update-optimization': updates, 'update-conflict-detection': updates, 'ddns-ttl': updates,
  'max-lease-time': leaseTime, 'min-lease-time': leaseTime, 'dynamic-bootp-lease-length': 'BOOTP is not spoken', 'dynamic-bootp-lease-cutoff': 'BOOTP is not spoken',
  'lease-file-name': files, 'pid-file-name': files, 'log-facility': files, 'db-time-format': files,
  'omapi-port': 'the API is there instead', 'omapi-key': 'the API is there instead',
  subnet6: names6, range6: names6, 'fixed-address6': names6, prefix6: names6, 'dhcpv6-lease-file-name': names6,
  include: 'import that file as well', execute: 'nothing is run', on: 'nothing is run when a lease begins or ends: the event stream tells (topic dhcp.binding)', set: classes, unset: classes, define: classes, eval: classes, log: classes, add: classes,
  allow: 'who may have a lease is not chosen here', deny: 'who may have a lease is not chosen here', ignore: 'who may have a lease is not chosen here',
  'server-name': 'Bedplate\'s racks are the boot servers: the field names them', 'server-identifier': 'a rack\'s own address is its identifier', 'site-option-space': 'spaces of options are not taken; write vendor options as the bytes of option 43', 'vendor-option-space': 'spaces of options are not taken; write vendor options as the bytes of option 43',
  'min-secs': 'which rack answers first is its rank', 'always-broadcast': 'clients without an address are answered by broadcast anyway', 'infinite': leaseTime
}
