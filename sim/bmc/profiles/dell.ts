import type { Profile } from '../profile.ts'

/** Dell iDRAC9. */
export const dell: Partial<Profile> = {
  name: 'dell', title: 'Dell iDRAC9',
  sources: ['iDRAC9 Redfish API Guide', 'github.com/dell/iDRAC-Redfish-Scripting issues 58, 236', 'github.com/quadsproject/badfish issue 10'],
  vendor: 'Dell', model: 'PowerEdge R650', bmc: { model: '15G Monolithic', version: '6.10.80.00' }, redfishVersion: '1.15.0',
  ids: { system: 'System.Embedded.1', manager: 'iDRAC.Embedded.1', chassis: 'System.Embedded.1' },
  resetTypes: ['On', 'ForceOff', 'ForceRestart', 'GracefulShutdown', 'PushPowerButton', 'Nmi', 'PowerCycle'], alreadySo: 409,
  etag: 'offered', bootTargets: ['None', 'Pxe', 'Hdd', 'Cd', 'BiosSetup', 'UefiHttp'],
  media: { under: 'manager', drives: [{ id: 'RemovableDisk', types: ['USBStick'] }, { id: 'CD', types: ['CD', 'DVD'] }], by: 'action', needs: ['Image'], refuses: [], keepsName: false },
  log: { under: 'manager', id: 'Sel' }, sessions: { most: 8, seconds: 1800 },
  ipmi: { manufacturer: 674, product: 0x0100, guid: 'rfc4122', sessions: 5, suites: [3, 17], lan15: false }
}
