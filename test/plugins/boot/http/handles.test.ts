/** Open files: one for all who are being sent the same content, closed when the last of them has left. */
import { readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHandles } from '../../../../plugins/boot/http/handles.ts'
import { folder } from '../rig.ts'

let disk: Awaited<ReturnType<typeof folder>>
let path: string
beforeAll(async () => { disk = await folder({ file: Buffer.from('content') }); path = join(disk.path, 'file') })
afterAll(() => disk.remove())
const open = (): number => readdirSync('/proc/self/fd').length

test('all who share a file have one, until the last has left', async () => {
  const handles = createHandles()
  const before = open()
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
  const files = new Set<unknown>()
  const users = gates.map(async ({ promise }) => { await handles.lend(path, true, async ({ file, about }) => { files.add(file); expect(about.size).toBe(7); await promise; expect(String((await file.read(Buffer.alloc(7), 0, 7, 0)).buffer)).toBe('content') }) })
  while (files.size === 0) await new Promise(resolve => { setImmediate(resolve) })
  for (const [index, gate] of gates.entries()) {
    expect(open()).toBe(before + 1)
    gate.resolve()
    await users[index]
  }
  expect([files.size, open()]).toEqual([1, before])
})
test('a file that may change is opened for each', async () => {
  const handles = createHandles()
  const files = new Set<unknown>()
  await Promise.all([1, 2].map(() => handles.lend(path, false, async ({ file }) => { files.add(file) })))
  expect(files.size).toBe(2)
})
test('one that is not there is told to everybody who asks, and found once it is', async () => {
  const handles = createHandles()
  const late = join(disk.path, 'late')
  const asked = await Promise.allSettled([1, 2].map(() => handles.lend(late, true, async () => 'here')))
  for (const one of asked) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'NOT_FOUND' } })
  await writeFile(late, 'x')
  expect(await handles.lend(late, true, async ({ about }) => about.size)).toBe(1)
  await rm(late)
})
test('what fails at work is told, and leaves nothing open', async () => {
  const handles = createHandles()
  const before = open()
  await expect(handles.lend(path, true, async () => { throw new TypeError('broken') })).rejects.toThrow('broken')
  expect(open()).toBe(before)
})
