/** Trains over real devices: what one side sends in one turn the other hears whole, once and in order, whatever the device in between can do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNetwork } from '../kit/network.ts'
import type { Namespace, TestNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'

const socket = JSON.stringify(`${import.meta.dirname}/../../core/socket.ts`)
/** Says in JSON what it hears: [the sender's port, the length, the first 12 bytes, whether the rest is as it was sent]. */
const listening = (port: number): string => `
  const { openDatagrams } = await import(${socket})
  const said = line => process.stdout.write(JSON.stringify(line) + '\\n')
  await openDatagrams({ port: ${port} }, {
    received: (data, from) => said([from.address, data.length, data.subarray(0, 12).toString(), data.subarray(12).every(byte => byte === 0x2e)]),
    failed: error => { throw error }, lost: error => said(String(error))
  })
  said('ready')`
type Sent = readonly [address: string, port: number, length: number, name: string]
const sending = (device: string | undefined, sent: readonly Sent[]): string => `
  const { openDatagrams } = await import(${socket})
  let lost = 0
  const one = await openDatagrams(${JSON.stringify({ port: 0, device })}, { received () {}, failed: error => { throw error }, lost: () => { lost++ } })
  for (const [address, port, length, name] of ${JSON.stringify(sent)}) one.send(Buffer.from(name.padEnd(length, '.')), port, address)
  setImmediate(() => { setImmediate(async () => { await one.close(); process.stdout.write(JSON.stringify({ lost })) }) })`

let network: TestNetwork
let rack: Namespace
let relay: Namespace
beforeAll(async () => {
  network = await createNetwork()
  ;[rack, relay] = [await network.namespace(), await network.namespace()]
  await network.cable({ namespace: rack, name: 'eth0', addresses: ['192.0.2.1/24'] }, { namespace: relay, name: 'eth0', addresses: ['192.0.2.2/24', '192.0.2.3/24'] })
})
afterAll(() => network.destroy())

/** Listens there, and says what was heard of what was sent. */
async function exchange (there: Namespace, device: string | undefined, sent: readonly Sent[]) {
  const child = there.spawn([process.execPath, '--input-type=module', '-e', listening(6767)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout?.on('data', chunk => { said += String(chunk) })
  const heard = (): unknown[] => said.split('\n').slice(0, -1).map(line => JSON.parse(line) as unknown)
  try {
    await until(() => heard().includes('ready'), { timeout: 15_000 })
    const { stdout, stderr, code } = await rack.exec([process.execPath, '--input-type=module', '-e', sending(device, sent)])
    expect(code, stderr).toBe(0)
    const last = sent.at(-1)?.[3]
    await until(() => heard().some(one => Array.isArray(one) && one[2] === last), { timeout: 15_000 })
    return { lost: (JSON.parse(stdout) as { lost: number }).lost, heard: heard().slice(1) }
  } finally {
    child.kill('SIGKILL')
  }
}
const name = (index: number): string => `reply ${String(index).padStart(6, '0')}`
const numbered = (targets: readonly (readonly [string, number, number])[]): Sent[] => targets.map((target, index) => [...target, name(index)])
const relayed = (count: number, length: number, address = '192.0.2.2') => Array.from({ length: count }, () => [address, 6767, length] as const)
const asSent = (sent: readonly Sent[], from = '192.0.2.1') => sent.map(([, , length, name]) => [from, length, name, true])
/** What `ethtool -K eth0 tx off` does: ioctl SIOCETHTOOL with ETHTOOL_STXCSUM 0. */
const withoutChecksums = `
  const { default: koffi } = await import('koffi')
  const library = koffi.load(null)
  const value = koffi.alloc('uint32_t', 2)
  Buffer.from(koffi.view(value, 8)).writeUInt32LE(0x17, 0)
  Buffer.from(koffi.view(value, 8)).writeUInt32LE(0, 4)
  const request = Buffer.alloc(40)
  request.write('eth0')
  request.writeBigUInt64LE(koffi.address(value), 16)
  const fd = library.func('int socket(int, int, int)')(2, 2, 0)
  if (library.func('int ioctl(int, ulong, void *)')(fd, 0x8946, request) !== 0) throw new Error('errno ' + koffi.errno())`
/** Frames that left, by the counter of the sending side. */
const counted = async (field: string): Promise<number> => {
  const { stdout } = await rack.exec(['cat', `/sys/class/net/eth0/statistics/${field}`])
  return Number(stdout)
}

describe('what is sent in one turn', () => {
  it('to one relay in one length arrives each whole, once and in order, in far fewer packets', async () => {
    const sent = numbered(relayed(640, 548))
    await exchange(relay, 'eth0', numbered(relayed(1, 548))) // the address of the neighbour is known from here on
    const before = await counted('tx_packets')
    const { heard, lost } = await exchange(relay, 'eth0', sent)
    expect(heard).toEqual(asSent(sent))
    expect(lost).toBe(0)
    expect(await counted('tx_packets') - before).toBeLessThan(64) // a virtual device takes a train as one
  })
  it('of long replies, of which 64 are more than one packet holds', async () => {
    const sent = numbered(relayed(200, 1400))
    expect(await exchange(relay, 'eth0', sent)).toEqual({ heard: asSent(sent), lost: 0 })
  })
  it('of mixed lengths and targets', async () => {
    const sent = numbered(Array.from({ length: 300 }, (_, index) => [index % 7 < 4 ? '192.0.2.2' : '192.0.2.3', 6767, index % 11 < 5 ? 300 : 300 + index % 3] as const))
    expect(await exchange(relay, 'eth0', sent)).toEqual({ heard: asSent(sent), lost: 0 })
  })
  it('by broadcast', async () => {
    const sent = numbered(relayed(100, 300, '255.255.255.255'))
    const before = await counted('tx_packets')
    expect(await exchange(relay, 'eth0', sent)).toEqual({ heard: asSent(sent), lost: 0 })
    expect(await counted('tx_packets') - before).toBeGreaterThanOrEqual(100) // each is a frame of its own: clients read frames
  })
  it('on loopback', async () => {
    const sent = numbered(relayed(300, 548, '127.0.0.1'))
    expect(await exchange(rack, 'lo', sent)).toEqual({ heard: asSent(sent, '127.0.0.1'), lost: 0 })
  })
  it('to where no way leads is told of, each, and what goes elsewhere arrives', async () => {
    await rack.exec(['ip', 'route', 'add', 'unreachable', '198.51.100.0/24'])
    const sent = numbered([...relayed(20, 300, '198.51.100.1'), ...relayed(50, 300)])
    expect(await exchange(relay, undefined, sent)).toEqual({ heard: asSent(sent.slice(20)), lost: 20 }) // bound to a device, it would take everything for its neighbour
  })
})

describe('a device', () => {
  it('whose MTU is smaller than a reply takes it in fragments, and shorter ones in trains', async () => {
    await rack.exec(['ip', 'link', 'set', 'eth0', 'mtu', '700'])
    try {
      const sent = numbered([...relayed(30, 300), ...relayed(30, 1200), ...relayed(30, 300)])
      expect(await exchange(relay, 'eth0', sent)).toEqual({ heard: asSent(sent), lost: 0 })
    } finally { await rack.exec(['ip', 'link', 'set', 'eth0', 'mtu', '1500']) }
  })
  it('that makes no checksums carries them all the same', async () => {
    const { code, stderr } = await rack.exec([process.execPath, '--input-type=module', '-e', withoutChecksums])
    expect(code, stderr).toBe(0)
    const sent = numbered(relayed(200, 300))
    expect(await exchange(relay, 'eth0', sent)).toEqual({ heard: asSent(sent), lost: 0 })
  })
})
