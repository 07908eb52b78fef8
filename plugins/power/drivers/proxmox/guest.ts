/** What a virtual machine's configuration in Proxmox VE says of it (qm.conf(5)). Pure. */
import type { Identity } from '../../driver.ts'
import type { PowerStateName } from '../../manifest.ts'
import { realUuid } from '../../uuid.ts'
import { object, text } from '../../connection/json.ts'

/** A configuration as the API gives it: `net0`, `scsi0`, `boot`, `smbios1`, each a string. */
export type Config = Readonly<Record<string, unknown>>

/** `name=value,name=value`, as most of its settings are written; a first part without a name stands under ''. */
export function partsOf (setting: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries((text(setting) ?? '').split(',').map(part => {
    const at = part.indexOf('=')
    return at === -1 ? ['', part] : [part.slice(0, at), part.slice(at + 1)]
  }))
}

/** The numbered settings of a kind (`net0`, `net1`, …), in their order. */
export const numbered = (config: Config, kind: string): readonly string[] => Object.keys(config).filter(key => key.startsWith(kind) && /^\d+$/.test(key.slice(kind.length)))
  .sort((one, other) => Number(one.slice(kind.length)) - Number(other.slice(kind.length)))

/** The MAC addresses of its interfaces, lower case: `virtio=BC:24:11:2E:D0:11,bridge=vmbr0`. */
export const macsOf = (config: Config): readonly string[] => numbered(config, 'net').flatMap(name => Object.values(partsOf(config[name])).find(value => /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value))?.toLowerCase() ?? [])

/** What the firmware of the machine is told to say of itself (`smbios1`), as far as it was set. */
export function identityOf (config: Config): Omit<Identity, 'bmcVersion'> {
  const { uuid, base64, ...said } = partsOf(config.smbios1)
  const word = (value: string | undefined): string | null => value === undefined || value === '' ? null : base64 === '1' ? Buffer.from(value, 'base64').toString('utf8') : value
  return { uuid: realUuid(uuid), manufacturer: word(said.manufacturer), model: word(said.product), serial: word(said.serial) }
}

/** `running` or `stopped`: one that is paused has power, one that hibernates has none. */
export function stateOf (current: unknown): PowerStateName {
  const { status } = object(current)
  return status === 'running' ? 'on' : status === 'stopped' ? 'off' : 'unknown'
}
