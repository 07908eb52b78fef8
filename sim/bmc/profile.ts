/** What tells one vendor's BMCs from another's: data. A profile takes `generic` and says what is different. */

export type ResetType = 'On' | 'ForceOn' | 'ForceOff' | 'ForceRestart' | 'GracefulShutdown' | 'GracefulRestart' | 'PowerCycle' | 'PushPowerButton' | 'Nmi'
export type BootTarget = 'None' | 'Pxe' | 'Hdd' | 'Cd' | 'Usb' | 'UsbCd' | 'BiosSetup' | 'UefiHttp'
export type Part = 'Thermal' | 'Power' | 'ThermalSubsystem' | 'Sensors' | 'VirtualMedia' | 'LogServices' | 'UpdateService' | 'TaskService' | 'EthernetInterfaces' | 'Manager.PowerState'

export interface Drive { readonly id: string, readonly types: readonly string[] }
export interface Profile {
  readonly name: string, readonly title: string
  /** What it rests on: documents and reports of users. */
  readonly sources: readonly string[]
  readonly vendor: string, readonly model: string
  readonly bmc: { readonly model: string, readonly version: string }
  readonly redfishVersion: string
  readonly ids: { readonly system: string, readonly manager: string, readonly chassis: string }
  /** Links end in a slash. */
  readonly slash: boolean
  readonly resetTypes: readonly ResetType[]
  /** How it answers a reset: at once, or 202 with a task. */
  readonly resets: 'at once' | 'as task'
  /** Of an On while on, or a ForceOff while off. */
  readonly alreadySo: 204 | 400 | 409
  readonly etag: 'absent' | 'offered' | 'required'
  readonly bootTargets: readonly BootTarget[]
  /** A boot target is taken only together with its BootSourceOverrideMode. */
  readonly needsBootMode: boolean
  readonly media: {
    readonly under: 'manager' | 'system'
    readonly drives: readonly Drive[]
    /** Of them only those take a URL; absent: all. */
    readonly takes?: RegExp
    /** The standard's actions; a PATCH of the drive; or an action of the vendor's own. */
    readonly by: 'action' | 'patch' | 'oem'
    /** Parameters without which it refuses. */
    readonly needs: readonly string[]
    /** Parameters it does not know, and refuses for. */
    readonly refuses: readonly string[]
    /** What stays in Image and ImageName after an eject. */
    readonly keepsName: boolean
  }
  readonly log: { readonly under: 'manager' | 'system', readonly id: string }
  readonly without: readonly Part[]
  readonly sessions: { readonly most: number, readonly seconds: number }
  readonly ipmi: {
    readonly manufacturer: number // IANA enterprise number
    readonly product: number
    /** How the 16 bytes of Get System GUID are ordered. */
    readonly guid: 'smbios' | 'rfc4122' | 'ipmi'
    readonly sessions: number
    readonly suites: readonly number[]
    /** Whether IPMI 1.5 sessions are taken as well. */
    readonly lan15: boolean
  }
}

export const generic: Profile = {
  name: 'generic', title: 'a BMC as the standards describe it', sources: ['DMTF DSP0266, DSP0268', 'IPMI 2.0 revision 1.1'],
  vendor: 'Bedplate', model: 'Simulated', bmc: { model: 'Simulated BMC', version: '1.0.0' }, redfishVersion: '1.15.0',
  ids: { system: '1', manager: '1', chassis: '1' }, slash: false,
  resetTypes: ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'GracefulRestart', 'PowerCycle', 'PushPowerButton', 'Nmi'], resets: 'at once', alreadySo: 204,
  etag: 'offered', bootTargets: ['None', 'Pxe', 'Hdd', 'Cd', 'Usb', 'BiosSetup'], needsBootMode: false,
  media: { under: 'manager', drives: [{ id: 'Cd', types: ['CD', 'DVD'] }, { id: 'Usb', types: ['USBStick'] }], by: 'action', needs: ['Image'], refuses: [], keepsName: false },
  log: { under: 'manager', id: 'SEL' }, without: [], sessions: { most: 16, seconds: 1800 },
  ipmi: { manufacturer: 0, product: 0x0bed, guid: 'smbios', sessions: 4, suites: [1, 2, 3, 15, 16, 17], lan15: true }
}
