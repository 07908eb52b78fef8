/** busybox's udhcpd on a test segment: somebody else's DHCP server. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import type { TestClient, TestSegment } from './segment.ts'

/** Starts it in the client's namespace, with this address of a /24 and a range in it. `more`: further lines of its configuration. */
export async function startUdhcpd (segment: TestSegment, { namespace }: TestClient, address: string, more: readonly string[] = []): Promise<ChildProcess> {
  const net = address.slice(0, address.lastIndexOf('.'))
  await namespace.exec(['ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0'])
  const file = join(segment.folder, `${namespace.name}.udhcpd`)
  await writeFile(`${file}.leases`, '')
  await writeFile(file, [`interface eth0`, `start ${net}.200`, `end ${net}.220`, `lease_file ${file}.leases`, `pidfile ${file}.pid`, 'option subnet 255.255.255.0', `option router ${address}`, 'option lease 600', ...more, ''].join('\n'))
  return namespace.spawn(['busybox', 'udhcpd', '-f', file], { stdio: 'ignore' })
}
