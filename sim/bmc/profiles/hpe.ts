import { generic, type Profile } from '../profile.ts'

/** HPE iLO 5: links end in a slash, and the drive is loaded by an action of HPE's. */
export const ilo5: Partial<Profile> = {
  name: 'ilo5', title: 'HPE iLO 5',
  sources: ['HPE iLO 5 RESTful API documentation', 'github.com/goldyfruit/ansible-ilo issue 1 (a power action that has nothing to do is answered 400)'],
  vendor: 'HPE', model: 'ProLiant DL360 Gen10', bmc: { model: 'iLO 5', version: 'iLO 5 v2.78' }, redfishVersion: '1.13.0', slash: true,
  resetTypes: ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'Nmi', 'PushPowerButton', 'GracefulRestart'], alreadySo: 400,
  bootTargets: ['None', 'Cd', 'Hdd', 'Usb', 'BiosSetup', 'Pxe', 'UefiHttp'],
  media: { under: 'manager', drives: [{ id: '1', types: ['Floppy', 'USBStick'] }, { id: '2', types: ['CD', 'DVD'] }], by: 'oem', needs: ['Image'], refuses: [], keepsName: false },
  log: { under: 'manager', id: 'IEL' }, without: ['Sensors', 'ThermalSubsystem'], sessions: { most: 13, seconds: 1800 },
  ipmi: { ...generic.ipmi, manufacturer: 47196, product: 0x2000, sessions: 4, suites: [3, 17], lan15: false }
}

/** HPE iLO 6: the standard's actions, and a manager that since 1.70 does not say whether it has power. */
export const ilo6: Partial<Profile> = {
  ...ilo5, name: 'ilo6', title: 'HPE iLO 6 1.70', sources: ['HPE iLO 6 RESTful API documentation', 'github.com/ironcore-dev/metal-operator issue 594 (no PowerState in the manager)'],
  model: 'ProLiant DL360 Gen11', bmc: { model: 'iLO 6', version: 'iLO 6 v1.70' }, redfishVersion: '1.20.0',
  media: { under: 'manager', drives: [{ id: '1', types: ['Floppy', 'USBStick'] }, { id: '2', types: ['CD', 'DVD'] }], by: 'action', needs: ['Image'], refuses: [], keepsName: false },
  without: ['Manager.PowerState']
}
