/** Which loader a machine's firmware gets, and how it is found out that it refuses iPXE; what DHCP has to do with it. */
import { beforeEach, describe, expect, test } from 'vitest'
import { createChoice, refusedWithin } from '../../../plugins/boot/firmware/choice.ts'
import type { Choice } from '../../../plugins/boot/firmware/choice.ts'
import { tapDhcp } from '../../../plugins/boot/firmware/tap.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { text, u16 } from '../../../plugins/dhcp/options/values.ts'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import type { Step } from '../../../plugins/dhcp/v4/chain.ts'
import { quiet } from '../../kit/parts.ts'
import { packetOf, segmentWith, viewOf } from '../dhcp/build.ts'

const mac = '52:54:00:00:00:01'
let choice: Choice
beforeEach(() => { choice = createChoice('auto') })

describe('auto', () => {
  test('iPXE first; firmware that has it and comes again within two minutes has refused it, and gets GRUB from then on', () => {
    expect([choice.came(mac, 0), choice.kindOf(mac)]).toEqual([false, undefined])
    choice.fetched(mac, 'ipxe.efi', 1_000)
    expect([choice.came(mac, 1_000 + refusedWithin), choice.kindOf(mac)]).toEqual([true, 'grub'])
    expect([choice.came(mac, 1e9), choice.kindOf(mac)]).toEqual([false, 'grub'])
  })
  test('later it was switched on anew, and iPXE had run', () => {
    choice.fetched(mac, 'ipxe.efi', 0)
    expect([choice.came(mac, refusedWithin + 1), choice.kindOf(mac)]).toEqual([false, undefined])
  })
  test('once iPXE has spoken for itself, nothing was refused; and one that spoke after all is taken at its word', () => {
    choice.fetched(mac, '/loaders/ipxe.efi', 0)
    choice.ran(mac)
    expect([choice.came(mac, 10), choice.kindOf(mac)]).toEqual([false, undefined])
    choice.fetched(mac, 'ipxe.efi', 20)
    expect(choice.came(mac, 30)).toBe(true)
    choice.ran(mac)
    expect([choice.came(mac, 40), choice.kindOf(mac)]).toEqual([false, undefined])
  })
  test.each(['undionly.kpxe', 'shimx64.efi', 'grubx64.efi', '/grub/grub.cfg', '/files/1/ipxe'])('%s is no iPXE that could be refused', name => {
    choice.fetched(mac, name, 0)
    expect(choice.came(mac, 10)).toBe(false)
  })
  test('another machine is another matter', () => {
    choice.fetched(mac, 'snponly.efi', 0)
    expect(choice.came('52:54:00:00:00:02', 10)).toBe(false)
  })
  test('what is wanted for the machine stands above what was found out', () => {
    choice.fetched(mac, 'ipxe.efi', 0)
    expect([choice.came(mac, 10, 'ipxe'), choice.kindOf(mac, 'ipxe')]).toEqual([false, 'ipxe'])
    expect(choice.kindOf(mac, 'grub')).toBe('grub')
  })
  test('what the region says has refused counts as if it were found out here, until the region says it no more', () => {
    const entry = { kind: 'refused', id: mac } as const
    for (const forget of [() => { choice.apply({ put: [], remove: [entry] }, false) }, () => { choice.apply({ put: [{ kind: 'refused', id: 'other', value: {} }], remove: [] }, true) }]) {
      choice.apply({ put: [{ ...entry, value: {} }], remove: [] }, false)
      expect([choice.kindOf(mac), choice.came(mac, 0)]).toEqual(['grub', false])
      forget()
      expect(choice.kindOf(mac)).toBeUndefined()
    }
  })
  test('what was found out here stays until the region has heard of it, and then goes with what the region says', () => {
    const entry = { kind: 'refused', id: mac } as const
    for (const [forget, whole] of [[{ put: [], remove: [entry] }, false], [{ put: [], remove: [] }, true]] as const) {
      choice.fetched(mac, 'ipxe.efi', 0)
      choice.came(mac, 1)
      choice.apply({ put: [], remove: [] }, true)
      expect(choice.kindOf(mac)).toBe('grub')
      choice.apply({ put: [{ ...entry, value: {} }], remove: [] }, false)
      choice.apply(forget, whole)
      expect(choice.kindOf(mac)).toBeUndefined()
    }
  })
  test('ten thousand machines are remembered, then the oldest is forgotten', () => {
    for (let n = 0; n <= 10_000; n++) {
      choice.fetched(`m${n}`, 'ipxe.efi', 0)
      choice.came(`m${n}`, 1)
    }
    expect([choice.kindOf('m0'), choice.kindOf('m1'), choice.kindOf('m10000')]).toEqual([undefined, 'grub', 'grub'])
  })
})

test.each(['ipxe', 'grub'] as const)('configured as %s it is that, whatever happens, and whatever is wanted for the machine', kind => {
  const fixed = createChoice(kind)
  fixed.fetched(mac, 'ipxe.efi', 0)
  fixed.apply({ put: [{ kind: 'refused', id: mac, value: {} }], remove: [] }, true)
  expect([fixed.came(mac, 1), fixed.kindOf(mac), fixed.kindOf(mac, 'grub'), fixed.kindOf(mac, 'ipxe')]).toEqual([false, kind, kind, kind])
})

describe('with DHCP', () => {
  const segment = segmentWith()
  const uefi = { vendor: 'PXEClient:Arch:00007:UNDI:003000', options: [[option.architecture, u16(7)] as const] }
  const rig = (entry?: { readonly loader?: 'ipxe' | 'grub' }, { here = ['ipxe.efi', 'shimx64.efi', 'grubx64.efi'], choice: chosen = choice } = {}) => {
    const chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: quiet })
    const refused: unknown[] = []
    const missing: string[] = []
    const warned: string[] = []
    let now = 0
    const seen = tapDhcp(chain, {
      choice: chosen, clock: { monotonic: () => now }, log: { warn: (_what: unknown, text?: string) => { warned.push(String(text)) } },
      loaders: { missing: name => { missing.push(name) }, path: name => here.includes(name) ? name : undefined }, refused: (...what) => { refused.push(what) },
      wanted: { machine: () => entry === undefined ? undefined : { machine: '7', hostname: 'h', purpose: 'local', token: null, files: null, reason: null, ...entry } }
    })
    const ask = (type: 'DISCOVER' | 'REQUEST', wire: object = {}): string => {
      const step = chain.open(segment, packetOf({ type, mac, ...uefi, ...type === 'REQUEST' ? { requested: '10.0.0.105', server: '10.0.0.2' } : {}, ...wire })) as Step
      const decision = chain.decide(step, viewOf({ free: ['10.0.0.105'] }), 0)
      if (decision.kind !== 'offer' && decision.kind !== 'bind') throw new Error(decision.kind)
      return chain.lease(type === 'DISCOVER' ? 'OFFER' : 'ACK', step, { ...decision, seconds: 60 }).file
    }
    return { ask, chain, seen, refused, missing, warned, here, pass: (ms: number) => { now += ms } }
  }
  test('firmware that refuses iPXE: it is told once, and offer and acknowledgement name the same', () => {
    const { ask, refused, pass } = rig({})
    expect([ask('DISCOVER'), ask('REQUEST')]).toEqual(['ipxe.efi', 'ipxe.efi'])
    choice.fetched(mac, 'ipxe.efi', 0)
    pass(20_000)
    expect([ask('DISCOVER'), ask('REQUEST'), ask('DISCOVER')]).toEqual(['shimx64.efi', 'shimx64.efi', 'shimx64.efi'])
    expect(refused).toEqual([[mac, '7']])
  })
  test('a rack that only hears what another answers finds it out, too: it may be the one that serves', () => {
    const { chain, refused, seen } = rig({})
    const hear = (wire: object = {}) => { chain.open(segment, packetOf({ type: 'DISCOVER', mac, ...uefi, ...wire })) }
    hear()
    choice.fetched(mac, 'ipxe.efi', 0)
    hear({ options: [...uefi.options, [option.userClass, text('iPXE')]] })
    hear()
    expect([refused, seen.firmwareOf(mac)]).toEqual([[], 7])
    choice.fetched(mac, 'ipxe.efi', 0)
    hear({ vendor: 'a system that runs', options: [] })
    expect(refused).toEqual([])
    hear()
    expect(refused).toEqual([[mac, '7']])
  })
  test.each(['shimx64.efi', 'grubx64.efi'])('without %s on this rack the machine goes on getting iPXE, which the log is told once, until it is there', name => {
    const { ask, chain, warned, missing, here } = rig({ loader: 'grub' }, { here: ['ipxe.efi', 'shimx64.efi', 'grubx64.efi'].filter(one => one !== name) })
    expect([ask('DISCOVER'), ask('REQUEST'), chain.loaderOf(mac)]).toEqual(['ipxe.efi', 'ipxe.efi', undefined])
    expect(warned).toEqual([`${name} is not on this rack: machines that refuse iPXE still get ipxe.efi`])
    expect(missing).toContain(name)
    here.push(name)
    expect([ask('DISCOVER'), chain.loaderOf(mac)]).toEqual(['shimx64.efi', 'grub'])
  })
  test('a configuration that says GRUB means it, also where there is none', () => {
    const { ask, chain } = rig({}, { here: [], choice: createChoice('grub') })
    expect([ask('DISCOVER'), chain.loaderOf(mac)]).toEqual(['shimx64.efi', 'grub'])
  })
  test('the REQUEST that follows an offer does not count as coming again', () => {
    const { ask } = rig()
    ask('DISCOVER')
    choice.fetched(mac, 'ipxe.efi', 0)
    expect(ask('REQUEST')).toBe('ipxe.efi')
  })
  test('a machine whose entry names a loader gets that at once', () => expect(rig({ loader: 'grub' }).ask('DISCOVER')).toBe('shimx64.efi'))
  test('over IPv6 what is wanted and what was found out counts, too', () => {
    expect(rig({ loader: 'ipxe' }).chain.loaderOf(mac)).toBe('ipxe')
    const { chain, ask } = rig()
    expect(chain.loaderOf(mac)).toBeUndefined()
    choice.fetched(mac, 'ipxe.efi', 0)
    ask('DISCOVER')
    expect(chain.loaderOf(mac)).toBe('grub')
  })
  test('iPXE gets its script, and is heard to run', () => {
    const { ask } = rig()
    choice.fetched(mac, 'ipxe.efi', 0)
    expect(ask('DISCOVER', { options: [...uefi.options, [option.userClass, text('iPXE')]] })).toBe('http://10.0.0.2:5248/boot/ipxe/52-54-00-00-00-01')
    expect(ask('DISCOVER')).toBe('ipxe.efi')
  })
  test('what firmware it is, and who has an address, is kept; what it is told to fetch is looked for', () => {
    const { ask, seen, missing } = rig()
    ask('DISCOVER')
    expect([seen.firmwareOf(mac), seen.macOf('10.0.0.105')]).toEqual([7, null])
    ask('REQUEST')
    expect([seen.macOf('10.0.0.105'), seen.macOf('::ffff:10.0.0.105'), seen.macOf('10.0.0.106'), seen.firmwareOf('other')]).toEqual([mac, mac, null, null])
    expect(missing).toEqual(['ipxe.efi', 'ipxe.efi'])
  })
})
