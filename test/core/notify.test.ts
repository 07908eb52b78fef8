/** sd_notify: a datagram on the socket systemd names, by path or abstract name; nothing otherwise. */
import koffi from 'koffi'
import { mkdtemp, rm } from 'node:fs/promises'
import { endianness, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createNotify } from '../../core/notify.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'

let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'bedplate-notify-')) })
afterAll(() => rm(folder, { recursive: true }))

/** A receiver of unix datagrams, which Node has not. */
function receiver (name: string): { receive(): string | undefined, close(): void } {
  const libc = koffi.load(null)
  const socket = libc.func('int socket(int domain, int type, int protocol)')
  const bind = libc.func('int bind(int fd, const void *address, uint32_t size)')
  const recv = libc.func('long recv(int fd, void *buffer, size_t length, int flags)')
  const close = libc.func('int close(int fd)')
  const path = Buffer.from(name.startsWith('@') ? `\0${name.slice(1)}` : name)
  const address = Buffer.concat([Buffer.from(endianness() === 'LE' ? [1, 0] : [0, 1]), path])
  const fd: number = socket(1, 2, 0)
  expect(bind(fd, address, address.length)).toBe(0)
  return {
    receive () {
      const buffer = Buffer.alloc(4096)
      const length = Number(recv(fd, buffer, buffer.length, 0x40))
      return length < 0 ? undefined : buffer.toString('utf8', 0, length)
    },
    close () { close(fd) }
  }
}

test.each(['path', 'abstract'])('tells by %s', async kind => {
  const name = kind === 'path' ? join(folder, 'notify') : `@bedplate-${process.pid}`
  const systemd = receiver(name)
  try {
    const notify = await createNotify(name, quiet)
    notify('READY=1', 'STATUS=two\nlines')
    expect(await until(() => systemd.receive())).toBe('READY=1\nSTATUS=two lines')
    notify('STOPPING=1')
    expect(await until(() => systemd.receive())).toBe('STOPPING=1')
  } finally { systemd.close() }
})

test('is silent without systemd, and when nobody listens', async () => {
  for (const path of [undefined, '', '/nonexistent/notify']) (await createNotify(path, quiet))('READY=1')
})
