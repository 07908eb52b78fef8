/** A virtual machine that boots from the network into what iPXE is told, with the host's loopback as 10.0.2.2 (QEMU's user network: nothing of it leaves the host). */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { until } from '../kit/wait.ts'

export const host = '10.0.2.2'
export const guestPackages = ['qemu-system-x86', 'ipxe-qemu', 'seabios']

export interface Guest {
  /** What it wrote to its serial line. */
  serial(): string
  /** Waits for a text on the serial line. Rejects with the last of it when that takes longer than `timeout` ms, or when the machine ends before. */
  says(text: string, timeout: number): Promise<void>
  /** Resolves when it has switched itself off. */
  readonly off: Promise<void>
  end(): Promise<void>
}

/** `script` is iPXE's, `files` what it may fetch from `http://10.0.2.2:PORT/NAME`, where PORT is put in its place. */
export async function startGuest ({ directory, script, files = {}, memory = 512, netdev = '' }: { readonly directory: string, readonly script: string, readonly files?: Readonly<Record<string, string>>, readonly memory?: number, readonly netdev?: string }): Promise<Guest> {
  const serial = join(directory, 'serial.log')
  writeFileSync(serial, '')
  const server = createServer((request, response) => {
    const name = (request.url ?? '').slice(1)
    const path = files[name]
    if (name === 'boot.ipxe') response.end(script.replaceAll('PORT', String(port)))
    else if (path === undefined) response.writeHead(404).end()
    else void readFile(path).then(bytes => { response.end(bytes) }, () => { response.writeHead(500).end() })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  const qemu = spawn('qemu-system-x86_64', [
    '-machine', 'q35,graphics=off', '-accel', 'tcg,thread=multi', '-cpu', 'max,erms=off,fsrm=off', '-smp', '1', '-m', String(memory), '-display', 'none', '-no-reboot', '-serial', `file:${serial}`,
    '-netdev', `user,id=net0,bootfile=http://${host}:${port}/boot.ipxe${netdev}`, '-device', 'virtio-net-pci,netdev=net0,bootindex=1', '-device', 'virtio-rng-pci'
  ], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  let gone = false
  qemu.stderr.on('data', chunk => { errors = `${errors}${String(chunk)}`.slice(-2000) })
  const off = new Promise<void>(resolve => {
    qemu.once('error', error => { errors += error.message; gone = true; resolve() })
    qemu.once('close', () => { gone = true; resolve() })
  })
  const text = (): string => readFileSync(serial, 'latin1')
  return {
    serial: text, off,
    async says (words, timeout) {
      const heard = await until(() => text().includes(words) ? 'said' : gone ? 'gone' : undefined, { timeout, interval: 100, what: words }).catch(() => 'late')
      if (heard !== 'said' && !text().includes(words)) throw new TypeError(`the machine never said "${words}" (${heard}): ${text().slice(-1500)}${errors}`)
    },
    async end () {
      qemu.kill('SIGKILL')
      await off
      server.closeAllConnections()
      await new Promise<void>(resolve => { server.close(() => { resolve() }) })
    }
  }
}
