import { generic, type Profile } from '../profile.ts'

/** Supermicro X12/H13: the drive takes Image alone, keeps the name of what was ejected, and CDs are booted as USB ones. */
export const supermicro: Partial<Profile> = {
  name: 'supermicro', title: 'Supermicro X12/H13',
  sources: ['Supermicro Redfish Reference Guide (16 sessions)', 'github.com/ansible-collections/community.general pull requests 4839, 12537 and issue 6969', 'github.com/redhat-performance/jetlag pull request 152'],
  vendor: 'Supermicro', model: 'X12STW-TF', bmc: { model: 'ASPEED AST2600', version: '01.01.30' }, redfishVersion: '1.11.0',
  resetTypes: ['On', 'ForceOff', 'GracefulShutdown', 'GracefulRestart', 'ForceRestart', 'Nmi', 'ForceOn', 'PowerCycle'],
  etag: 'required', bootTargets: ['None', 'Pxe', 'Hdd', 'UsbCd', 'Usb', 'BiosSetup', 'UefiHttp'], needsBootMode: true,
  media: { under: 'manager', drives: [{ id: 'CD1', types: ['CD', 'DVD'] }], by: 'action', needs: ['Image'], refuses: ['Inserted', 'WriteProtected'], keepsName: true },
  log: { under: 'system', id: 'Log1' }, without: ['ThermalSubsystem', 'Sensors'], sessions: { most: 16, seconds: 300 },
  ipmi: { ...generic.ipmi, manufacturer: 10876, product: 0x1b0f, guid: 'ipmi' }
}
