/** The numbers of DHCPv6 that this server reads or writes (RFC 8415 sections 7 and 21, and the RFCs named beside them). */

export const message6 = {
  SOLICIT: 1, ADVERTISE: 2, REQUEST: 3, CONFIRM: 4, RENEW: 5, REBIND: 6, REPLY: 7, RELEASE: 8, DECLINE: 9, RECONFIGURE: 10, 'INFORMATION-REQUEST': 11, 'RELAY-FORW': 12, 'RELAY-REPL': 13
} as const
export type Message6Type = keyof typeof message6

const names = new Map<number, Message6Type>(Object.entries(message6).map(([name, code]) => [code, name as Message6Type]))
export const message6Name = (code: number): Message6Type | undefined => names.get(code)

export const option6 = {
  clientId: 1,
  serverId: 2,
  iaNa: 3,
  iaTa: 4,
  iaAddress: 5,
  requestList: 6,
  preference: 7,
  elapsedTime: 8,
  relayMessage: 9,
  serverUnicast: 12,
  statusCode: 13,
  rapidCommit: 14,
  userClass: 15,
  vendorClass: 16,
  vendorOptions: 17,
  interfaceId: 18,
  dnsServers: 23, // RFC 3646
  domainSearch: 24, // RFC 3646
  iaPd: 25,
  sntpServers: 31, // RFC 4075
  refreshTime: 32, // RFC 8415 section 21.23
  remoteId: 37, // RFC 4649
  clientName: 39, // RFC 4704
  ntpServer: 56, // RFC 5908
  bootFileUrl: 59, // RFC 5970, as the next three
  bootFileParameters: 60,
  architecture: 61,
  networkInterface: 62,
  linkLayerAddress: 79, // RFC 6939
  relayPort: 135 // RFC 8357
} as const

/** RFC 8415 section 21.13. */
export const status6 = { Success: 0, UnspecFail: 1, NoAddrsAvail: 2, NoBinding: 3, NotOnLink: 4, UseMulticast: 5, NoPrefixAvail: 6 } as const
export type Status6 = keyof typeof status6

export const groups6 = { relaysAndServers: 'ff02::1:2', servers: 'ff05::1:3' } as const
export const ports6 = { client: 546, server: 547 } as const
