import { generic, type Profile } from '../profile.ts'

/** Lenovo XClarity Controller: ten drives without actions, of which only the EXT ones take a URL, by PATCH. */
export const lenovo: Partial<Profile> = {
  name: 'lenovo', title: 'Lenovo XClarity Controller',
  sources: ['Lenovo XCC REST API documentation', 'github.com/lenovo/python-redfish-lenovo issue 21', 'github.com/stmcginnis/gofish issue 529', 'opendev.org/openstack/sushy: virtual_media.py (nothing is attached without Inserted)'],
  vendor: 'Lenovo', model: 'ThinkSystem SR630 V2', bmc: { model: 'Lenovo XClarity Controller', version: 'AFBT20X 1.89' }, redfishVersion: '1.14.0',
  resetTypes: ['On', 'Nmi', 'GracefulShutdown', 'GracefulRestart', 'ForceOn', 'ForceOff', 'ForceRestart'], bootTargets: ['None', 'Pxe', 'Cd', 'Usb', 'Hdd', 'BiosSetup'],
  media: { under: 'manager', drives: [...[1, 2].map(n => ({ id: `RDOC${n}`, types: ['CD', 'USBStick'] })), ...[1, 2, 3, 4].map(n => ({ id: `EXT${n}`, types: ['CD', 'DVD'] })), ...[1, 2, 3, 4].map(n => ({ id: `Remote${n}`, types: ['CD', 'USBStick'] }))], takes: /^EXT/, by: 'patch', needs: ['Image', 'Inserted'], refuses: [], keepsName: false },
  log: { under: 'system', id: 'StandardLog' }, sessions: { most: 16, seconds: 1800 },
  ipmi: { ...generic.ipmi, manufacturer: 19046, product: 0x0cb1, suites: [3, 17], lan15: false }
}
