/** Get LAN Configuration Parameters (IPMI 2.0 section 23.2). */
import { getLanConfiguration, lanParameter } from '../../../ipmi/commands/lan.ts'
import { answering, refused, type Context, type Handler } from './command.ts'

const unknownParameter = 0x80
const statically = 0x01

const ipv4 = (host: string): Buffer => Buffer.from(/^(\d+\.){3}\d+$/.test(host) ? host.split('.').map(Number) : [0, 0, 0, 0])

function valueOf (parameter: number, { host, model: { systems: [{ machine }], profile } }: Context): Buffer | undefined {
  switch (parameter) {
    case 0: return Buffer.of(0) // nobody is setting them
    case 1: return Buffer.of(profile.ipmi.lan15 ? 0x14 : 0) // authentication types: MD5 and password
    case 2: return Buffer.alloc(5, profile.ipmi.lan15 ? 0x14 : 0)
    case lanParameter.ip: return ipv4(host)
    case lanParameter.ipSource: return Buffer.of(statically)
    case lanParameter.mac: return Buffer.from((machine.hardware.macs[0] ?? '').replace(/^../, '0a').replaceAll(':', ''), 'hex')
    case lanParameter.mask: return ipv4('255.0.0.0')
    case lanParameter.gateway: return Buffer.alloc(4)
    case 13: return Buffer.alloc(6)
    case 16: return Buffer.from('public'.padEnd(18, '\0'))
    case 20: return Buffer.alloc(2) // no VLAN
    case 22: return Buffer.of(profile.ipmi.suites.length)
    case 23: return Buffer.concat([Buffer.of(0), Buffer.from(profile.ipmi.suites), Buffer.alloc(16 - profile.ipmi.suites.length)])
    case 24: return Buffer.concat([Buffer.of(0), Buffer.alloc(8, 0x44)]) // administrator with each of them
    default: return undefined
  }
}

export const lanCommands: readonly Handler[] = [
  answering(getLanConfiguration, 'operator', ({ parameter }, context) => {
    const data = valueOf(parameter, context)
    return data === undefined ? refused(unknownParameter) : { revision: 0x11, data }
  })
]
