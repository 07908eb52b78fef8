import { generic, type Profile } from '../profile.ts'

/** OpenBMC's bmcweb: names instead of numbers, the log under the system, many sessions. */
export const openbmc: Partial<Profile> = {
  name: 'openbmc', title: 'OpenBMC',
  sources: ['github.com/openbmc/docs: REDFISH-cheatsheet.md', 'github.com/openbmc/bmcweb: Redfish.md'],
  vendor: 'OpenBMC', model: 'Tiogapass', bmc: { model: 'OpenBMC', version: '2.14.0' }, redfishVersion: '1.17.0',
  ids: { system: 'system', manager: 'bmc', chassis: 'chassis' },
  resetTypes: ['On', 'ForceOff', 'ForceOn', 'ForceRestart', 'GracefulRestart', 'GracefulShutdown', 'PowerCycle', 'Nmi'], etag: 'offered',
  media: { under: 'manager', drives: [{ id: 'Slot_0', types: ['CD', 'USBStick'] }, { id: 'Slot_1', types: ['CD', 'USBStick'] }], by: 'action', needs: ['Image'], refuses: [], keepsName: false },
  log: { under: 'system', id: 'EventLog' }, sessions: { most: 64, seconds: 1800 },
  ipmi: { ...generic.ipmi, manufacturer: 49622, product: 1, guid: 'rfc4122', sessions: 15, suites: [3, 17], lan15: false }
}
