import { describe, expect, it } from 'vitest'
import { createRoots } from '../../../../plugins/boot/iscsi/roots.ts'
import { createRetries } from '../../../../plugins/boot/iscsi/retries.ts'

const file = (letter: string) => ({ sha256: letter.repeat(64), size: 4096 })
const files = (root: string) => ({ kernel: file('1'), initrd: file('2'), root: file(root), options: '' })
const machine = (id: string, root: string | null) => ({ kind: 'machine' as const, id, value: { machine: id, hostname: id, purpose: 'deploy' as const, token: null, reason: null, files: root === null ? null : files(root) } })
const unknown = (root: string) => ({ kind: 'unknown' as const, id: 'amd64', value: files(root) })

describe('the roots that entries name', () => {
  it('are each there once, and gone with the last entry that names them', () => {
    const roots = createRoots()
    roots.apply({ put: [machine('a', 'c'), machine('b', 'c'), unknown('d')], remove: [] }, true)
    expect(roots.list().map(([letter]) => letter).sort()).toEqual(['c', 'd'])
    roots.apply({ put: [machine('a', 'd')], remove: [] }, false)
    expect(roots.list().length).toBe(2)
    roots.apply({ put: [machine('b', null)], remove: [] }, false)
    expect(roots.list().map(([letter]) => letter)).toEqual(['d'])
    roots.apply({ put: [], remove: [{ kind: 'unknown', id: 'amd64' }, { kind: 'machine', id: 'a' }] }, false)
    expect(roots.list()).toEqual([])
  })
  it('are those of the whole when the whole comes', () => {
    const roots = createRoots()
    roots.apply({ put: [machine('a', 'c')], remove: [] }, true)
    roots.apply({ put: [machine('b', 'd')], remove: [] }, true)
    expect(roots.list()).toEqual(['d'.repeat(64)])
  })
})

describe('logins again', () => {
  it('are counted by initiator and target', () => {
    const retries = createRetries()
    expect([retries.of('a', true), retries.of('a', false), retries.of('a', true), retries.of('b', true), retries.of('a', false), retries.of('c', false)]).toEqual([0, 0, 1, 0, 1, 0])
  })
  it('of very many initiators are forgotten, the oldest first', () => {
    const retries = createRetries()
    retries.of('first', true)
    for (let one = 0; one < 5000; one++) retries.of(`${one}`, true)
    expect([retries.of('first', true), retries.of('4999', true)]).toEqual([0, 1])
  })
})
