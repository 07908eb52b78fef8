/** The chain that plugins extend: what taps may do, and what a bad one costs. */
import { beforeEach, describe, expect, it } from 'vitest'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import type { Stage, Step } from '../../../plugins/dhcp/v4/chain.ts'
import type { Decision } from '../../../plugins/dhcp/v4/decision.ts'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, text, u32 } from '../../../plugins/dhcp/options/values.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import type { Logger } from '../../../core/plugin.ts'
import { me, now, other, packetOf, segmentWith, viewOf } from './build.ts'
import type { Wire } from './build.ts'

let chain: Chain
let lines: { readonly stage: Stage, readonly tap: string, readonly count: number, readonly reason: string }[]
let failures: string[]
beforeEach(() => {
  [lines, failures] = [[], []]
  const log: Partial<Logger> = { warn: (line: object) => { lines.push(line as typeof lines[number]) } }
  chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: log as Logger, failed: (stage, tap) => { failures.push(`${stage} ${tap}`) } })
})

const segment = segmentWith()
const open = (wire: Wire = {}) => chain.open(segment, packetOf({ type: 'DISCOVER', ...wire })) as Step
const decided = (wire: Wire = {}): Decision => chain.decide(open(wire), viewOf({ free: ['10.0.0.105', '10.0.0.106'] }), now)
/** The reply to a DISCOVER, through all stages. */
function offered (wire: Wire = {}): Packet | Decision {
  const step = open(wire)
  const decision = chain.decide(step, viewOf({ free: ['10.0.0.105', '10.0.0.106'] }), now)
  return decision.kind === 'offer' ? chain.lease('OFFER', step, { ...decision, seconds: chain.seconds(step, decision.subnet) }) : decision
}
const offer = (wire: Wire = {}): Packet => {
  const reply = offered(wire)
  if (!('options' in reply)) throw new Error(`no offer, but ${reply.kind}`)
  return reply
}

describe('a plugin extends the chain', () => {
  it('it adds a class, an option for the class, and vetoes a client', () => {
    chain.hooks.classify.tap('toy', (classes, { packet }) => packet.mac === me ? [...classes, 'toy'] : undefined as never)
    chain.hooks.options.tap('toy', (options, { classes }) => classes.includes('toy') ? new Map([...options, [224, text('for toys')]]) : options)
    chain.hooks.address.tap('toy', (decision, { packet }) => packet.mac === other ? { kind: 'drop', reason: 'vetoed' } : decision)
    expect(offer().options.get(224)?.toString()).toBe('for toys')
    expect(offer({ mac: '52:54:00:00:00:03' }).options.has(224)).toBe(false)
    expect(offered({ mac: other })).toEqual({ kind: 'drop', reason: 'vetoed' })
    expect(failures).toEqual([])
  })
  it('it drops a packet before anything is made of it, under its own word', () => {
    chain.hooks.parse.tap('limits', ({ packet }) => packet.secs > 100 ? 'too-patient' : undefined)
    expect(chain.open(segment, packetOf({ type: 'DISCOVER', secs: 101 }))).toBe('too-patient')
    expect(open().type).toBe('DISCOVER')
  })
  it('it chooses among the subnets of the segment, and another address in them', () => {
    chain.hooks.subnet.tap('second', subnets => subnets.slice(1))
    expect(decided({ requested: '10.0.0.106' })).toMatchObject({ kind: 'drop', reason: 'no-address' })
    chain.hooks.subnet.tap('none', () => [])
    expect(decided()).toEqual({ kind: 'drop', reason: 'foreign-relay' })
  })
  it('it chooses what firmware boots, and what iPXE boots stays', () => {
    chain.hooks.boot.tap('grub', (_, exchange) => chain.bootOf(exchange, 'grub'))
    const uefi: Wire = { vendor: 'PXEClient:Arch:00007', options: [[option.architecture, Buffer.of(0, 7)]] }
    expect(offer(uefi).file).toBe('shimx64.efi')
    expect(offer({ ...uefi, options: [...uefi.options ?? [], [option.userClass, text('iPXE')]] }).file).toBe('http://10.0.0.2:5248/boot/ipxe/52-54-00-00-00-01')
    expect(offer().file).toBe('')
    expect(failures).toEqual([])
  })
  it('it changes the whole reply, NAKs too', () => {
    chain.hooks.reply.tap('name', reply => ({ ...reply, sname: 'rack' }))
    expect(offer().sname).toBe('rack')
    expect(chain.nak(open(), 'no').sname).toBe('rack')
  })
  it('taps run in order, each on what the one before made of it', () => {
    for (const value of ['a', 'b']) chain.hooks.options.tap(value, options => new Map([...options, [224, Buffer.concat([options.get(224) ?? Buffer.of(), text(value)])]]))
    expect(offer().options.get(224)?.toString()).toBe('ab')
  })
})

describe('a bad tap costs nothing', () => {
  const plain = () => new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: {} as Logger })
  it('one that throws in every stage: the same reply as without it', () => {
    const bad = () => { throw new Error('broken') }
    for (const hook of Object.values(chain.hooks)) hook.tap('bad', bad)
    const reply = offer()
    chain = plain()
    expect(reply).toEqual(offer())
    expect(failures).toEqual(['parse bad', 'classify bad', 'subnet bad', 'address bad', 'boot bad', 'options bad', 'reply bad'])
    expect(lines).toHaveLength(7)
    expect(lines[0]).toMatchObject({ stage: 'parse', tap: 'bad', count: 1, reason: 'broken' })
  })
  it('one that throws does not stop the next', () => {
    chain.hooks.options.tap('bad', () => { throw new Error('broken') })
    chain.hooks.options.tap('good', options => new Map([...options, [224, text('x')]]))
    expect(offer().options.has(224)).toBe(true)
  })
  it('what it did to the options before it threw is undone', () => {
    chain.hooks.options.tap('bad', options => { (options as Map<number, Buffer>).clear(); throw new Error('broken') })
    expect(offer().options.get(option.subnetMask)).toEqual(ip(parseIp('255.255.255.0')))
  })
  it.each([
    ['parse', 7], ['parse', 'Not A Word'], ['classify', 'pxe'], ['classify', [1]], ['subnet', [{}]], ['subnet', 'x'], ['subnet', [{ ...segment.subnets[0] }]],
    ['address', null], ['address', 5], ['address', { kind: 'offer' }], ['address', { kind: 'bind', subnet: segment.subnets[0], address: parseIp('10.0.0.105'), hostname: null, refused: 'nak' }],
    ['address', { kind: 'offer', subnet: segment.subnets[0], address: parseIp('10.9.0.1'), hostname: null }], ['address', { kind: 'offer', subnet: segment.subnets[0], address: -1, hostname: null }], ['address', { kind: 'drop' }],
    ['boot', 'ipxe.efi'], ['boot', { nextServer: 1, file: 'x', options: new Map([[0, Buffer.of(1)]]), asked: new Map() }],
    ['options', []], ['options', new Map()], ['options', new Map([[256, Buffer.of()]])], ['options', new Map([[1, 'text']])], ['options', new Map([[option.messageType, Buffer.of(5)], [option.serverId, Buffer.of(1, 2, 3, 4)]])],
    ['reply', {}], ['reply', null], ['reply', 'ACK']
  ] as const)('one that returns nonsense: %s', (stage, nonsense) => {
    chain.hooks[stage].tap('bad', (() => nonsense) as never)
    const reply = offer()
    expect(failures).toEqual([`${stage} bad`])
    chain = plain()
    expect(reply).toEqual(offer())
  })
  it('a reply for somebody else, or about another address, is not sent', () => {
    for (const change of [{ xid: 1 }, { mac: other }, { yiaddr: 1 }, { giaddr: 1 }, { op: 1 }, { flags: 0x10000 }, { options: new Map() }]) chain.hooks.reply.tap('bad', reply => ({ ...reply, ...change }))
    const reply = offer()
    expect(failures).toHaveLength(7)
    chain = plain()
    expect(reply).toEqual(offer())
  })
  it('a thousand failures are five lines in the log, and all counted', () => {
    chain.hooks.classify.tap('bad', () => { throw new Error('broken') })
    for (let n = 0; n < 1000; n++) open()
    expect(lines.map(({ count }) => count)).toEqual([1, 10, 100, 1000])
    expect(failures).toHaveLength(1000)
  })
  it('one that wants to be waited for is not, and its rejection ends here', async () => {
    chain.hooks.options.tap('slow', (async () => { throw new Error('later') }) as never)
    const reply = offer()
    await new Promise(resolve => { setImmediate(resolve) })
    expect(failures).toEqual(['options slow'])
    chain = plain()
    expect(reply).toEqual(offer())
  })
})

describe('the stages', () => {
  it('firmware gets a short lease, the system the subnet\'s', () => {
    const seconds = (vendor?: string, options: Wire['options'] = []) => offer({ ...(vendor === undefined ? {} : { vendor }), options }).options.get(option.leaseTime)
    expect(seconds('PXEClient:Arch:00007:UNDI:003000')).toEqual(u32(120))
    expect(seconds('HTTPClient:Arch:00016')).toEqual(u32(120))
    expect(seconds(undefined, [[option.userClass, text('iPXE')]])).toEqual(u32(120))
    expect(seconds('MSFT 5.0')).toEqual(u32(600))
    expect(seconds()).toEqual(u32(600))
  })
  it('a subnet\'s shorter lease is not made longer for firmware', () => {
    const step = open({ vendor: 'PXEClient' })
    expect(chain.seconds(step, { ...segment.subnets[0]!, leaseSeconds: 60 })).toBe(60)
  })
  it('classes', () => {
    expect(open().classes).toEqual([])
    expect(open({ vendor: 'PXEClient:Arch:00000' }).classes).toEqual(['firmware', 'pxe'])
    expect(open({ vendor: 'HTTPClient' }).classes).toEqual(['firmware', 'httpclient'])
    expect(open({ vendor: 'PXEClient:Arch:00000', options: [[175, Buffer.of(0x13, 1, 1)]] }).classes).toEqual(['firmware', 'ipxe'])
    expect(open({ vendor: 'U-Boot.armv8', options: [[93, Buffer.of(0, 0x16)]] }).classes).toEqual(['firmware'])
    expect(open({ vendor: 'PXECl' }).classes).toEqual([])
  })
})
