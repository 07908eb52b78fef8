/** Reading what machines' tools printed: real outputs, holes, lies and rubbish. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readInventory } from '../../../plugins/provision/inventory.ts'
import type { Inventory } from '../../../plugins/machines/manifest.ts'
import { flatLscpu, lsblk, nestedLscpu, oldLsblk, server, virtio, virtual } from './outputs.ts'

type Changes = Parameters<typeof virtual>[0]
function read (changes: Changes = {}): Inventory & { readonly bootMac: string } {
  const found = readInventory(virtual(changes))
  if ('problem' in found) throw new TypeError(found.problem)
  return { ...found.inventory, bootMac: found.bootMac }
}
const nics = (lines: string) => read({ interfaces: lines }).interfaces
const mac = (last: number) => `52:54:00:00:00:${last.toString(16).padStart(2, '0')}`

test('a virtual machine', () => {
  expect(readInventory(virtual())).toEqual({
    bootMac: '52:54:00:00:00:07',
    inventory: {
      architecture: 'amd64', firmware: 'bios', cpu: { count: 8, model: 'Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz' }, memory: 1967,
      disks: [{ name: 'vda', size: 6442450944, model: null, serial: null, rotational: true }],
      interfaces: [{ mac: '52:54:00:00:00:07', name: 'ens3', speed: null, link: true }],
      dmi: { sys_vendor: 'Dell Inc.', product_name: 'PowerEdge R630', product_serial: 'ABC1234', product_uuid: '4c4c4544-0042-3310-8054-b2c04f4d4d32', bios_version: '2.12.1' }
    }
  })
})

test.each([['   1\n', true], ['   0\n', false], ['', undefined], ['   2\n', undefined], ['rubbish', undefined], [undefined, undefined]])('Secure Boot, told as %j, is %s', (secureboot, expected) => {
  expect(read(secureboot === undefined ? {} : { secureboot }).secureBoot).toBe(expected)
})

const lan = (address: string) => `Set in Progress         : Set Complete\nAuth Type Support       : MD5 \nIP Address Source       : Static Address\nIP Address              : ${address}\nSubnet Mask             : 255.255.255.0\nMAC Address             : d4:ae:52:00:00:01\nDefault Gateway IP      : 10.0.9.1\n`
test.each([
  [lan('10.0.9.42'), '10.0.9.42'], [lan('0.0.0.0'), undefined], [lan('127.0.0.1'), undefined], [lan('224.0.0.1'), undefined], [lan('255.255.255.255'), undefined], [lan('10.0.9.420'), undefined], [lan('10.0.9.42; reboot'), undefined],
  ['', undefined], [undefined, undefined], ['Could not open device at /dev/ipmi0\n', undefined], [`${' '.repeat(20_000)}\n${lan('10.0.9.42')}`, undefined]
])('where its BMC is, told as %j, is %s', (bmc, address) => {
  expect(read(bmc === undefined ? {} : { bmc }).bmc).toEqual(address === undefined ? undefined : { address })
})

describe('processors', () => {
  test.each([
    ['flat', flatLscpu, { count: 8, model: 'Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz' }],
    ['nested', nestedLscpu, { count: 64, model: 'AMD EPYC 7543 32-Core Processor' }],
    ['no output', '', { count: 0, model: 'unknown' }],
    ['no file', undefined, { count: 0, model: 'unknown' }],
    ['no model, as on some ARM', JSON.stringify({ lscpu: [{ field: 'CPU(s):', data: '4' }] }), { count: 4, model: 'unknown' }],
    ['a dash for a model', JSON.stringify({ lscpu: [{ field: 'CPU(s):', data: 4 }, { field: 'Model name:', data: '  ' }] }), { count: 4, model: 'unknown' }],
    ['cut in the middle', flatLscpu.slice(0, 90), { count: 0, model: 'unknown' }],
    ['a list', '[]', { count: 0, model: 'unknown' }],
    ['null', 'null', { count: 0, model: 'unknown' }],
    ['another shape', JSON.stringify({ lscpu: { 'CPU(s):': 4 } }), { count: 0, model: 'unknown' }],
    ['a negative count', JSON.stringify({ lscpu: [{ field: 'CPU(s):', data: '-4' }] }), { count: 0, model: 'unknown' }],
    ['half a processor', JSON.stringify({ lscpu: [{ field: 'CPU(s):', data: 0.5 }] }), { count: 0, model: 'unknown' }],
    ['fields that are no texts', JSON.stringify({ lscpu: [{ field: { toString: 1, valueOf: 1 }, data: 1 }, null, 7, { field: 'CPU(s):', data: { toString: 1 } }] }), { count: 0, model: 'unknown' }]
  ])('%s', (_, text, cpu) => { expect(read({ 'lscpu.json': text }).cpu).toEqual(cpu) })
  test('children a hundred thousand deep are no failure', () => {
    const deep = '{"lscpu":' + '[{"field":"a","children":'.repeat(100_000) + '[]' + '}]'.repeat(100_000) + '}'
    expect(read({ 'lscpu.json': deep }).cpu).toEqual({ count: 0, model: 'unknown' })
  })
})

describe('architecture, firmware and memory', () => {
  test.each([['x86_64', 'amd64'], ['aarch64', 'arm64'], ['ppc64le', 'ppc64el'], ['s390x', 's390x'], ['i686', 'i386'], ['riscv64', 'riscv64'], ['vax', 'unknown'], ['', 'unknown'], [undefined, 'unknown'], ['constructor', 'unknown'], ['__proto__', 'unknown'], ['toString', 'unknown']])('%s is %s', (given, name) => {
    expect(read({ architecture: given === undefined ? undefined : `${given}\n` }).architecture).toBe(name)
  })
  test.each([['uefi\n', 'uefi'], ['bios\n', 'bios'], ['', 'bios'], [undefined, 'bios'], ['coreboot', 'bios']])('firmware %j is %s', (given, name) => { expect(read({ firmware: given }).firmware).toBe(name) })
  test.each([
    ['MemTotal:        2014608 kB\n', 1967], ['MemTotal:\t528280744 kB\nMemFree: 1 kB\n', 515_899], ['MemFree: 5 kB\nMemTotal: 1024 kB\n', 1], ['', 0], [undefined, 0],
    ['MemTotal: lots kB\n', 0], ['xMemTotal: 1024 kB\n', 0], ['MemTotal: 99999999999999999999 kB\n', 0], ['MemTotal: 1024 MB\n', 0], ['MemTotal: -5 kB\n', 0]
  ])('%j is %i MiB', (given, mebibytes) => { expect(read({ meminfo: given }).memory).toBe(mebibytes) })
})

describe('disks', () => {
  const names = (text: string | undefined) => read({ 'lsblk.json': text }).disks.map(({ name }) => name)
  test('of a virtual machine: no CD', () => { expect(names(virtio)).toEqual(['vda']) })
  test('of a server: what can be written and stays, with what tells them apart', () => {
    expect(read({ 'lsblk.json': server }).disks).toEqual([
      { name: 'sda', size: 4000787030016, model: 'ST4000NM0035-1V4', serial: 'ZC1AABBC', rotational: true },
      { name: 'sdb', size: 480103981056, model: 'SAMSUNG MZ7LH480', serial: 'S45PNA0M', rotational: false },
      { name: 'nvme0n1', size: 1920383410176, model: 'SAMSUNG MZQL21T9', serial: 'S64GNE0R', rotational: false }
    ])
  })
  test('of an old lsblk, which wrote numbers as texts', () => {
    expect(read({ 'lsblk.json': oldLsblk }).disks).toEqual([
      { name: 'sda', size: 80026361856, model: 'INTEL SSDSC2BB08', serial: 'BTWL', rotational: false }, { name: 'sdb', size: 500107862016, model: 'WDC', serial: 'W', rotational: true }
    ])
  })
  test.each([['no output', ''], ['no file', undefined], ['no disks', lsblk()], ['no list', '{"blockdevices":{"name":"sda"}}'], ['rubbish in the list', '{"blockdevices":[1,null,[],"sda",{}]}']])('%s: none', (_, text) => { expect(names(text)).toEqual([]) })
  test.each(['../sda', 'sda;reboot', 'sda sdb', '', '$(id)', 'a'.repeat(33), 'sd\na', 7, null, { toString: 1 }])('a disk called %j is left out, for names go into scripts', name => {
    expect(names(lsblk({ name, type: 'disk', size: 5, ro: false }, { name: 'sdz', type: 'disk', size: 5, ro: false }))).toEqual(['sdz'])
  })
  test.each([-1, 1.5, '1e400', 2 ** 60, 'big', null, [], true])('a disk of size %j is left out', size => { expect(names(lsblk({ name: 'sda', type: 'disk', size, ro: false }))).toEqual([]) })
  test('no more than 256', () => {
    expect(names(lsblk(...Array.from({ length: 1000 }, (_, index) => ({ name: `sd${index}`, type: 'disk', size: 5 }))))).toHaveLength(256)
  })
})

describe('interfaces', () => {
  test('speed and link as the driver says, null where it does not', () => {
    expect(nics(`eno1 ${mac(1)} 1000 1\neno2 ${mac(2)} -1 0\nens3 ${mac(3)} -1 -\nens4 ${mac(4)} 25000\nwlan0 ${mac(5)}\n`)).toEqual([
      { mac: mac(1), name: 'eno1', speed: 1000, link: true }, { mac: mac(2), name: 'eno2', speed: null, link: false }, { mac: mac(3), name: 'ens3', speed: null, link: null },
      { mac: mac(4), name: 'ens4', speed: 25000, link: null }, { mac: mac(5), name: 'wlan0', speed: null, link: null }
    ])
  })
  test('InfiniBand, group and empty addresses are left out: no other plugin would take them', () => {
    expect(nics(['ib0 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:ef:5e:01 -1 1', 'm 01:00:5e:00:00:01 1 1', 'b ff:ff:ff:ff:ff:ff 1 1', 'z 00:00:00:00:00:00 1 1', `good ${mac(9)} 1 1`].join('\n'))).toMatchObject([{ name: 'good' }])
  })
  test.each(['52:54:00:00:00', '5254.0000.0001', '52:54:00:00:00:0g', '52-54-00-00-00-01', ''])('%j is no MAC of a kernel', text => { expect(nics(`x ${text} 1 1\neth0 ${mac(1)} 1 1`)).toHaveLength(1) })
  test('a name with anything but visible ASCII, or without end, is left out', () => {
    expect(nics(`e\u0001h0 ${mac(1)} 1 1\n${'n'.repeat(65)} ${mac(2)} 1 1\nüth0 ${mac(3)} 1 1\nok ${mac(4)} 1 1`)).toMatchObject([{ name: 'ok' }])
  })
  test('no more than 256: each becomes a row and a lock', () => {
    const lines = Array.from({ length: 5000 }, (_, index) => `e${index} 52:54:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')} 1 1`)
    expect(nics(lines.join('\n'))).toHaveLength(256)
  })
  test.each([['', undefined], ['lines without sense', 'nothing\n\n\n1 2 3 4\n']])('none %s: the machine cannot be known, and that is said', (_, interfaces) => {
    expect(readInventory(virtual({ interfaces, cmdline: 'quiet' }))).toEqual({ problem: 'It reported no network interface with a MAC address.' })
  })
})

describe('the interface it booted from', () => {
  const lines = `eno1 ${mac(1)} 1 1\neno2 ${mac(2)} 1 1\n`
  test.each([
    ['BOOTIF=01-52-54-00-00-00-02', mac(2)], ['quiet BOOTIF=01-52-54-00-00-00-02 ip=dhcp\n', mac(2)], ['BOOTIF=01-52-54-00-00-00-0A\n', mac(10)],
    ['quiet\n', mac(1)], ['', mac(1)], [undefined, mac(1)], ['XBOOTIF=01-52-54-00-00-00-02', mac(1)], ['BOOTIF=20-52-54-00-00-00-02', mac(1)], ['BOOTIF=01-52-54-00-00-00-02-03', mac(1)],
    ['BOOTIF=01-5-254-00-00-00-02', mac(1)], ['BOOTIF=01-ff-ff-ff-ff-ff-ff', mac(1)], ['BOOTIF=01-00-00-00-00-00-00', mac(1)]
  ])('%j: %s', (cmdline, expected) => { expect(read({ cmdline, interfaces: lines }).bootMac).toBe(expected) })
  test('is enough to know the machine by when nothing else is told', () => {
    expect(readInventory({ cmdline: 'BOOTIF=01-52-54-00-00-00-02' })).toEqual({
      bootMac: mac(2), inventory: { architecture: 'unknown', firmware: 'bios', cpu: { count: 0, model: 'unknown' }, memory: 0, disks: [], interfaces: [], dmi: {} }
    })
  })
})

describe('what the board says of itself', () => {
  test.each<[string, Record<string, string>]>([
    ['sys_vendor=QEMU\n', { sys_vendor: 'QEMU' }], ['product_name=A=B\n', { product_name: 'A=B' }], ['bios_date=\nsys_vendor=  \nboard_name= x \n', { board_name: 'x' }],
    ['no equals\n=empty\nUPPER=x\nwith space=x\n', {}], ['', {}], ['sys_vendor=a\nsys_vendor=b\n', { sys_vendor: 'b' }], ['sys_vendor=a\u0007b\r\n', { sys_vendor: 'a b' }]
  ])('%j', (given, expected) => { expect(read({ dmi: given }).dmi).toEqual(expected) })
  test('long texts are cut, without halving a character', () => {
    expect(read({ dmi: `sys_vendor=${'x'.repeat(199)}😀y` }).dmi.sys_vendor).toBe(`${'x'.repeat(199)}\ufffd`)
    expect(read({ dmi: `sys_vendor=${'x'.repeat(500)}` }).dmi.sys_vendor).toHaveLength(200)
  })
})

describe('whatever is uploaded', () => {
  const wellFormed = (value: unknown): boolean => typeof value === 'string' ? value.isWellFormed() && !/[\0-\x1f]/.test(value) && value.length <= 200
    : typeof value === 'number' ? Number.isSafeInteger(value) && value >= 0
      : typeof value === 'object' && value !== null ? Object.values(value).every(wellFormed) : value === null || typeof value === 'boolean'
  const tame = (files: Readonly<Record<string, string>>): void => {
    const found = readInventory(files)
    if ('problem' in found) return
    expect(wellFormed(found)).toBe(true)
    expect(JSON.stringify(found).length).toBeLessThan(1 << 20)
  }
  const names = ['cmdline', 'architecture', 'firmware', 'lscpu.json', 'meminfo', 'lsblk.json', 'interfaces', 'dmi']
  const Value = fc.letrec<{ any: unknown }>(tie => ({
    any: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary' }), fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map(code => String.fromCharCode(code)) }), fc.double(), fc.integer(), fc.constantFrom(null, true, '1', 1, 'sda', 'CPU(s):', 'Model name:', 'disk', 2 ** 53),
      fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(fc.constantFrom('lscpu', 'blockdevices', 'field', 'data', 'children', 'name', 'type', 'size', 'model', 'serial', 'rota', 'ro', 'toString', '__proto__'), tie('any'), { maxKeys: 6 }))
  })).any

  test('texts without sense give an inventory or a problem, never a failure', () => {
    const Words = fc.array(fc.constantFrom('BOOTIF=01-', '52:54:00:00:00:01', '52-54-00-00-00-01', ' ', '\n', '=', 'sys_vendor', 'MemTotal:', ' kB', '12', '-1', '\0', '\ud800', '😀', 'x'.repeat(300), '{', '[', '"'), { maxLength: 40 }).map(words => words.join(''))
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...names), fc.oneof(Words, fc.string({ unit: 'binary', maxLength: 300 }))), tame), { numRuns: 500 })
  })
  test('JSON of any shape likewise; nothing reaches the database that it would not take', () => {
    fc.assert(fc.property(Value, Value, (first, second) => {
      tame(virtual({ 'lscpu.json': JSON.stringify(first), 'lsblk.json': JSON.stringify(second) }))
      tame(virtual({ 'lscpu.json': JSON.stringify({ lscpu: first }), 'lsblk.json': JSON.stringify({ blockdevices: second }) }))
      tame(virtual({ 'lscpu.json': JSON.stringify({ lscpu: [{ field: 'Model name:', data: first }] }), 'lsblk.json': JSON.stringify({ blockdevices: [{ name: 'sda', type: 'disk', size: 5, model: first, serial: second }] }) }))
    }), { numRuns: 500 })
  })
  test('NUL and halves of characters, which JSON can spell, are gone', () => {
    const disk = read({ 'lsblk.json': '{"blockdevices":[{"name":"sda","type":"disk","size":5,"model":"a\\u0000b\\ud83d","serial":"\\u0000"}]}' }).disks[0]
    expect(disk).toEqual({ name: 'sda', size: 5, model: 'a b\ufffd', serial: null, rotational: false })
  })
  test.each([['spaces', ' '], ['newlines', '\n'], ['MACs', '52:54:00:00:00:01 '], ['equals', 'a='], ['dashes', 'BOOTIF=01-'], ['totals', 'MemTotal:\n']])('eight mebibytes of %s are read in bounded time', (_, unit) => {
    const much = unit.repeat(Math.floor((8 << 20) / unit.length))
    const start = process.cpuUsage()
    tame(Object.fromEntries(names.map(name => [name, much])))
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(10_000)
  })
})
