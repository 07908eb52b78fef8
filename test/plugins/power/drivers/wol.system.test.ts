/** wol on wires of its own: heard on every interface's, byte for byte what wakeonlan and etherwake send, and read by Wireshark's dissector. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createNetwork, requirePrograms, type Namespace, type TestNetwork } from '../../../kit/network.ts'
import { until } from '../../../kit/wait.ts'

const mac = '52:54:00:12:34:56'
const password = '01:23:45:67:89:ab'
const driver = join(import.meta.dirname, '../../../../plugins/power/drivers/wol.ts')

interface Heard { readonly bytes: string, readonly reads: string, readonly to: string, readonly by: string }

/** The frames of a capture file (the classic format of pcap, little endian, Ethernet). */
function* framesIn (capture: Buffer): Generator<Buffer> {
  for (let at = 24; at + 16 <= capture.length;) {
    const length = capture.readUInt32LE(at + 8)
    yield capture.subarray(at + 16, at + 16 + length)
    at += 16 + length
  }
}

let network: TestNetwork
let rack: Namespace
let folder: string
const machines: Namespace[] = []
beforeAll(async () => {
  requirePrograms({ wakeonlan: 'wakeonlan', etherwake: 'etherwake', tshark: 'tshark', tcpdump: 'tcpdump' })
  folder = await mkdtemp(join(tmpdir(), 'bedplate-wol-'))
  network = await createNetwork()
  rack = await network.namespace()
  for (const wire of [0, 1]) {
    const machine = await network.namespace() // asleep: its interface has no address
    machines.push(machine)
    await network.cable({ namespace: rack, name: `eth${wire}`, addresses: [`10.0.${wire}.1/24`] }, { namespace: machine, name: 'eth0' })
  }
})
afterAll(async () => {
  await network.destroy()
  await rm(folder, { recursive: true, force: true })
})

/** What the machines' wires carry while `work` runs, `each` so many packets, with what tshark reads in them. */
async function heardDuring (each: readonly number[], work: () => Promise<void>): Promise<readonly (readonly Heard[])[]> {
  const captures = machines.map((machine, wire) => {
    const file = join(folder, `${wire}.pcap`)
    const child = machine.spawn(['tcpdump', '-i', 'eth0', '-U', '--immediate-mode', ...(each[wire] === 0 ? [] : ['-c', String(each[wire])]), '-w', file, 'udp port 9 or ether proto 0x0842'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    let said = ''
    child.stderr?.on('data', (part: Buffer) => { said += part.toString() })
    return { file, child, ended, awaited: each[wire] !== 0, listening: () => said.includes('listening on') }
  })
  await until(() => captures.every(({ listening }) => listening()), { what: 'tcpdump listens on both wires' })
  await work()
  await Promise.all(captures.filter(({ awaited }) => awaited).map(({ ended }) => ended))
  return await Promise.all(captures.map(async ({ file, child, ended, awaited }) => {
    if (!awaited) { child.kill('SIGTERM'); await ended }
    const frames = [...framesIn(await readFile(file))]
    if (frames.length === 0) return []
    const { stdout } = await rack.exec(['tshark', '-n', '-r', file, '-T', 'fields', '-e', '_ws.col.Info', '-e', 'eth.dst', '-e', 'udp.dstport'])
    return stdout.trim().split('\n').map((line, index) => {
      const [reads = '', to = '', port = ''] = line.split('\t')
      return { reads, to, by: port === '' ? 'ethernet' : `udp ${port}`, bytes: frames[index]?.subarray(port === '' ? 14 : 14 + 20 + 8).toString('hex') ?? '' }
    })
  }))
}
const wake = async (parameters: object) => {
  const { code, stdout, stderr } = await rack.exec([process.execPath, '--input-type=module-typescript', '-e', `
    import { wol } from ${JSON.stringify(driver)}
    console.log(JSON.stringify(await wol.power(${JSON.stringify(parameters)}, 'on', { boot: null, signal: new AbortController().signal })))`])
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return JSON.parse(stdout) as { readonly state: string, readonly note: string }
}
const others = async (command: readonly string[]) => { expect(await rack.exec(command)).toMatchObject({ code: 0 }) }

it('a packet without a network named leaves every interface, and is wakeonlan\'s', async () => {
  let note = ''
  const [ours = [], oursElsewhere = []] = await heardDuring([3, 3], async () => { ({ note } = await wake({ mac })) })
  expect(note).toContain('from 10.0.0.1, 10.0.1.1.')
  expect(oursElsewhere).toEqual(ours)
  const [theirs = []] = await heardDuring([1, 0], async () => { await others(['wakeonlan', '-i', '10.0.0.255', mac]) })
  expect(theirs).toHaveLength(1)
  expect(ours).toEqual([theirs[0], theirs[0], theirs[0]])
  expect(theirs[0]).toMatchObject({ reads: `MagicPacket for ${mac}`, to: 'ff:ff:ff:ff:ff:ff', by: 'udp 9' })
})

it('a packet for one network goes there alone; its SecureOn password is etherwake\'s', async () => {
  const [elsewhere = [], ours = []] = await heardDuring([0, 3], async () => { await wake({ mac, broadcast: '10.0.1.255', password }) })
  expect(elsewhere).toEqual([])
  const [, theirs = []] = await heardDuring([0, 1], async () => { await others(['etherwake', '-i', 'eth1', '-b', '-p', password, mac]) })
  expect(ours.map(({ bytes }) => bytes)).toEqual(Array.from({ length: 3 }, () => theirs[0]?.bytes))
  expect(theirs[0]?.by).toBe('ethernet')
  expect(ours[0]).toMatchObject({ reads: `MagicPacket for ${mac}, password ${password}`, to: 'ff:ff:ff:ff:ff:ff' })
})

it('four bytes of password are etherwake\'s as well', async () => {
  const [ours = []] = await heardDuring([3, 0], async () => { await wake({ mac, broadcast: '10.0.0.255', password: '192.168.1.7' }) })
  const [theirs = []] = await heardDuring([1, 0], async () => { await others(['etherwake', '-i', 'eth0', '-b', '-p', '192.168.1.7', mac]) })
  expect(ours[0]?.bytes).toBe(theirs[0]?.bytes)
})
