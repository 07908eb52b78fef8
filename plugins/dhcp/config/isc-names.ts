/** What dhcpd.conf calls the options of RFC 2132 and after, and why the statements that Bedplate has no use for are left. Data. */

/** ISC's names, by code (dhcp-options(5) names them; the codes are IANA's). */
const names: readonly (readonly [code: number, name: string])[] = [
  [1, 'subnet-mask'], [2, 'time-offset'], [3, 'routers'], [4, 'time-servers'], [5, 'ien116-name-servers'], [6, 'domain-name-servers'], [7, 'log-servers'], [8, 'cookie-servers'], [9, 'lpr-servers'],
  [10, 'impress-servers'], [11, 'resource-location-servers'], [12, 'host-name'], [13, 'boot-size'], [14, 'merit-dump'], [15, 'domain-name'], [16, 'swap-server'], [17, 'root-path'], [18, 'extensions-path'],
  [19, 'ip-forwarding'], [20, 'non-local-source-routing'], [21, 'policy-filter'], [22, 'max-dgram-reassembly'], [23, 'default-ip-ttl'], [24, 'path-mtu-aging-timeout'], [25, 'path-mtu-plateau-table'],
  [26, 'interface-mtu'], [27, 'all-subnets-local'], [28, 'broadcast-address'], [29, 'perform-mask-discovery'], [30, 'mask-supplier'], [31, 'router-discovery'], [32, 'router-solicitation-address'],
  [33, 'static-routes'], [34, 'trailer-encapsulation'], [35, 'arp-cache-timeout'], [36, 'ieee802-3-encapsulation'], [37, 'default-tcp-ttl'], [38, 'tcp-keepalive-interval'], [39, 'tcp-keepalive-garbage'],
  [40, 'nis-domain'], [41, 'nis-servers'], [42, 'ntp-servers'], [43, 'vendor-encapsulated-options'], [44, 'netbios-name-servers'], [45, 'netbios-dd-server'], [46, 'netbios-node-type'], [47, 'netbios-scope'],
  [48, 'font-servers'], [49, 'x-display-manager'], [50, 'dhcp-requested-address'], [51, 'dhcp-lease-time'], [52, 'dhcp-option-overload'], [53, 'dhcp-message-type'], [54, 'dhcp-server-identifier'],
  [55, 'dhcp-parameter-request-list'], [56, 'dhcp-message'], [57, 'dhcp-max-message-size'], [58, 'dhcp-renewal-time'], [59, 'dhcp-rebinding-time'], [60, 'vendor-class-identifier'],
  [61, 'dhcp-client-identifier'], [62, 'nwip-domain'], [64, 'nisplus-domain'], [65, 'nisplus-servers'], [66, 'tftp-server-name'], [67, 'bootfile-name'], [68, 'mobile-ip-home-agent'], [69, 'smtp-server'],
  [70, 'pop-server'], [71, 'nntp-server'], [72, 'www-server'], [73, 'finger-server'], [74, 'irc-server'], [75, 'streettalk-server'], [76, 'streettalk-directory-assistance-server'], [77, 'user-class'],
  [81, 'fqdn'], [85, 'nds-servers'], [86, 'nds-tree-name'], [87, 'nds-context'], [88, 'bcms-controller-names'], [89, 'bcms-controller-address'], [93, 'pxe-system-type'], [97, 'pxe-client-id'], [98, 'uap-servers'],
  [100, 'pcode'], [101, 'tcode'], [108, 'v6-only-preferred'], [112, 'netinfo-server-address'], [113, 'netinfo-server-tag'], [114, 'default-url'], [116, 'auto-config'], [118, 'subnet-selection'],
  [119, 'domain-search'], [124, 'vivco'], [125, 'vivso'], [136, 'pana-agent'], [137, 'v4-lost'], [138, 'capwap-ac-v4'], [141, 'sip-ua-cs-domains'], [150, 'tftp-server-address'], [208, 'pxelinux-magic'],
  [209, 'loader-configfile'], [210, 'loader-pathprefix'], [211, 'loader-reboottime'], [252, 'wpad']
]
const byName = new Map(names.map(([code, name]) => [name, code]))

/** The code of an option by ISC's name; `option-150` and `150` name it by number. */
export function codeOf (name: string): number | undefined {
  const number = /^(?:option-|unknown-)?(\d{1,3})$/.exec(name)?.[1]
  return number === undefined ? byName.get(name) : Number(number)
}

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
