/** The host's interfaces, as the system call gives them. */
import { execFileSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemInterfaces } from '../../../plugins/network/getifaddrs.ts'
import type { SystemAddress } from '../../../plugins/network/interfaces.ts'

const namespace = `bpt-if-${process.pid}`
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' })
const inside = (): Record<string, SystemAddress[]> => JSON.parse(execFileSync('ip', ['netns', 'exec', namespace, process.execPath, '--input-type=module-typescript', '-e', `import { systemInterfaces } from ${JSON.stringify(join(import.meta.dirname, '../../../plugins/network/getifaddrs.ts'))}; console.log(JSON.stringify(systemInterfaces()))`], { encoding: 'utf8' })) as Record<string, SystemAddress[]>

describe('the interfaces of this host', () => {
  beforeAll(() => {
    ip('netns', 'add', namespace)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    ip('-n', namespace, 'link', 'add', 'br0', 'address', '02:00:00:00:00:0a', 'type', 'bridge')
    ip('-n', namespace, 'addr', 'add', '10.1.2.3/20', 'dev', 'br0')
    ip('-n', namespace, 'addr', 'add', '2001:db8::5/64', 'dev', 'br0', 'nodad')
    ip('-n', namespace, 'link', 'add', 'down0', 'type', 'bridge')
    ip('-n', namespace, 'addr', 'add', '10.9.9.9/24', 'dev', 'down0')
    ip('-n', namespace, 'link', 'set', 'br0', 'up')
  })
  afterAll(() => { ip('netns', 'del', namespace) })

  it('include one without a carrier, with its MAC and both families', () => {
    const found = inside()
    expect(found.br0?.map(({ cidr }) => cidr)).toEqual(expect.arrayContaining(['10.1.2.3/20', '2001:db8::5/64']))
    expect(found.br0?.[0]).toMatchObject({ mac: '02:00:00:00:00:0a', internal: false })
  })
  it('leave out one that is down', () => { expect(Object.keys(inside())).not.toContain('down0') })
  it('mark the loopback', () => { expect(inside().lo?.every(({ internal }) => internal)).toBe(true) })
  it('are those the runtime knows, where a carrier is there', () => {
    const ours = systemInterfaces()
    for (const [name, addresses = []] of Object.entries(networkInterfaces())) expect(ours[name]?.map(({ cidr, mac }) => ({ cidr, mac }))).toEqual(expect.arrayContaining(addresses.filter(({ family }) => family === 'IPv4').map(({ cidr, mac }) => ({ cidr, mac }))))
  })
})
