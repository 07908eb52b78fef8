/** What cloud-init is told (NoCloud: meta-data, user-data, vendor-data, network-config version 2). JSON is YAML, and needs no escaping rules of ours. Pure. */
import type { Image } from '../images/manifest.ts'
import type { Deployment, Machine } from '../machines/manifest.ts'

export interface MachineNetwork { readonly mac: string, readonly address: string, readonly prefix: number, readonly gateway: string | null, readonly dns: readonly string[] }
export interface Metadata { readonly metaData: string, readonly userData: string, readonly vendorData: string, readonly networkConfig: string }

const yaml = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** The interface is matched by its MAC and keeps the kernel's name. Without an address of ours: DHCP on every wired interface. */
function networkConfig (network: MachineNetwork | null): unknown {
  if (!network) return { version: 2, ethernets: { wired: { match: { name: 'e*' }, dhcp4: true } } }
  const { mac, address, prefix, gateway, dns } = network
  return {
    version: 2,
    ethernets: {
      boot: {
        match: { macaddress: mac }, addresses: [`${address}/${prefix}`],
        ...(gateway === null ? {} : { gateway4: gateway }),
        ...(dns.length === 0 ? {} : { nameservers: { addresses: [...dns] } })
      }
    }
  }
}

/**
 * `instance-id` names the deployment, not the machine: a machine that is deployed again is a new instance to cloud-init. The operator's user-data is handed on as it is; ours
 * (account, keys) is vendor-data, which cloud-init merges below it.
 */
export function renderMetadata ({ machine, image, deployment, network }: { readonly machine: Machine, readonly image: Image, readonly deployment: Deployment, readonly network: MachineNetwork | null }): Metadata {
  const keys = [...deployment.sshKeys]
  const own = {
    hostname: machine.hostname, preserve_hostname: false, manage_etc_hosts: true, ssh_pwauth: false, disable_root: true,
    users: [{ name: image.user, gecos: image.title, shell: '/bin/bash', groups: ['sudo', 'adm'], sudo: 'ALL=(ALL) NOPASSWD:ALL', lock_passwd: true, ssh_authorized_keys: keys }]
  }
  return {
    metaData: yaml({ 'instance-id': `${machine.id}-${machine.since.getTime()}`, 'local-hostname': machine.hostname }),
    userData: deployment.userData ?? '#cloud-config\n{}\n',
    vendorData: `#cloud-config\n${yaml(own)}`,
    networkConfig: yaml(networkConfig(network))
  }
}
