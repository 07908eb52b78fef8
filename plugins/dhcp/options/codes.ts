/** The options and message types this server reads or writes (RFC 2132 and the RFCs named beside them). */

export const option = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  dnsServers: 6,
  hostname: 12,
  domain: 15,
  mtu: 26,
  broadcast: 28,
  vendor: 43, // encapsulated vendor options; for PXE clients those of the PXE specification 2.1
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  parameterList: 55,
  message: 56,
  maxSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  tftpServer: 66,
  bootFile: 67,
  userClass: 77, // RFC 3004
  rapidCommit: 80, // RFC 4039
  fqdn: 81, // RFC 4702
  relay: 82, // RFC 3046
  lastTransaction: 91, // RFC 4388, as the next
  associatedIp: 92,
  architecture: 93, // RFC 4578
  interfaceId: 94,
  machineId: 97,
  v6Only: 108, // RFC 8925
  subnetSelection: 118, // RFC 3011
  routes: 121, // RFC 3442
  tftpServers: 150, // RFC 5859
  ipxe: 175, // iPXE's encapsulated options
  configFile: 209, // RFC 5071: PXELINUX's
  msRoutes: 249, // option 121 as Windows before 10 asks for it
  end: 255
} as const

export const messageType = { DISCOVER: 1, OFFER: 2, REQUEST: 3, DECLINE: 4, ACK: 5, NAK: 6, RELEASE: 7, INFORM: 8, LEASEQUERY: 10, LEASEUNASSIGNED: 11, LEASEUNKNOWN: 12, LEASEACTIVE: 13 } as const // from 10 on: RFC 4388
export type MessageType = keyof typeof messageType

const names = new Map<number, MessageType>(Object.entries(messageType).map(([name, code]) => [code, name as MessageType]))
/** The name of a message type, or `undefined` for one this server does not know. */
export const messageName = (code: number | undefined): MessageType | undefined => code === undefined ? undefined : names.get(code)
