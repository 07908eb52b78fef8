/** What belongs to one boot, and how it is named. */
import { describe, expect, test } from 'vitest'
import { begin, boots, shortName, type Request } from '../../cli/boots.ts'

/** A request that ended `seconds` after the first and took `took`. */
const request = (seconds: number, what: string, by = 'http', took = 0.5): Request => ({ at: new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString(), data: { rack: 'r1', by, what, bytes: 10, milliseconds: took * 1000, failure: null } })
const names = (history: readonly Request[]) => boots(history).map(({ requests }) => requests.map(({ data }) => data.what))

describe('a boot', () => {
  test('is everything from the loader to the root, also when the loader is asked for in parts', () => {
    expect(names([request(0, 'undionly.kpxe', 'tftp'), request(1, 'undionly.kpxe', 'tftp'), request(3, '/ipxe/m1'), request(9, '/files/k'), request(60, '/files/r')])).toHaveLength(1)
  })
  test('begins anew with a loader', () => {
    expect(names([request(0, 'snponly.efi', 'tftp'), request(3, '/ipxe/m1'), request(8, 'snponly.efi', 'tftp'), request(9, '/ipxe/m1')])).toEqual([['snponly.efi', '/ipxe/m1'], ['snponly.efi', '/ipxe/m1']])
    expect(names([request(3, '/ipxe/m1'), request(9, '/loaders/bootx64.efi'), request(12, '/ipxe/m1')])).toHaveLength(2)
  })
  test('begins anew after five minutes of nothing; a download that takes longer is no pause', () => {
    expect(names([request(0, '/ipxe/m1'), request(302, '/ipxe/m1')])).toHaveLength(2)
    expect(names([request(0, '/ipxe/m1'), request(900, '/files/r', 'http', 899)])).toHaveLength(1)
  })
  test('is told from its first request\'s beginning to its last one\'s end, whatever order they became known in', () => {
    const [boot] = boots([request(60, '/files/r', 'http', 50), request(2, 'undionly.kpxe', 'tftp', 2)])
    expect(boot).toMatchObject({ from: '2030-01-01T00:00:00.000Z', to: '2030-01-01T00:01:00.000Z', requests: [{ data: { what: 'undionly.kpxe' } }, { data: { what: '/files/r' } }] })
    expect(boot?.requests.map(begin)).toEqual([Date.UTC(2030, 0, 1), Date.UTC(2030, 0, 1) + 10_000])
  })
  test('of a machine that never booted is none', () => expect(boots([])).toEqual([]))
})

test.each([[`/files/${'a'.repeat(64)}/vmlinuz`, 'vmlinuz'], ['/ipxe/m1', '/ipxe/m1'], [`iqn.2026-11.io.bedplate:root.${'a'.repeat(64)}`, 'root.squashfs'], [`iqn.2026-11.io.bedplate:root.${'a'.repeat(64)} (login)`, 'root.squashfs (login)'], ['undionly.kpxe', 'undionly.kpxe']])('%s is called %s', (what, name) => expect(shortName(what)).toBe(name))
