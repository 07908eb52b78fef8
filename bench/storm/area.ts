/** The boot storm: many machines switched on at once, through everything firmware does; beside dnsmasq and nginx. */
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import type { Area, Case, Prepared } from '../area.ts'
import { startBedplate } from '../dhcp/bedplate.ts'
import { cpuOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores, relays } from '../dhcp/segment.ts'
import type { Run } from '../figures.ts'
import { importImage, makeStand } from '../httpboot/image.ts'
import type { Stand } from '../httpboot/image.ts'
import { openPlace } from '../httpboot/place.ts'
import { firstLine } from '../machine.ts'
import { startDnsmasq } from './dnsmasq.ts'
import { phases, readStorm } from './loaded.ts'

const clients = 200
const sizes = { kernel: 8 << 20, initrd: 20 << 20, root: 1 << 20 }
const loaders = '/usr/lib/ipxe'
const loader = 'ipxe.efi' // what Bedplate names to such firmware: both send the same file

async function run (place: Place, server: Server, script: string, { kernel, initrd }: Stand, window: number, count = clients): Promise<Run> {
  const before = cpuOf(server.pids())
  const { stdout, stderr } = await place.segment.clients.namespace.exec([
    'taskset', '-c', cores.all, place.program, '-s', server.address, '-g', relays[0], '-n', String(count), '-o', String(place.clients(count)), '-u', script, '-L', loaders, '-K', kernel.file, '-I', initrd.file, '-w', String(window)
  ], { timeout: 200_000 })
  const cpu = cpuOf(server.pids()) - before
  const storm = readStorm(stdout)
  if (storm === undefined) throw new BedplateError('UNAVAILABLE', { reason: `the client program gave no result: ${stdout} ${stderr}`.slice(0, 500) })
  return {
    value: storm.seconds,
    details: { ...Object.fromEntries(phases.map(phase => [`${phase} s, median and p99`, storm.took[phase].map(seconds => Number(seconds.toPrecision(3))).join(' ')])), 'asked again, DHCP': storm.dhcpAgain, 'asked again, TFTP': storm.tftpAgain, 'CPU s': cpu },
    ...(storm.done === count ? {} : { fault: `${count - storm.done} of ${count} clients did not come through; ${storm.fault}` })
  }
}

const storm = (name: string, required: number | null, window: number): Case<Place> => ({
  name, required, peerName: 'dnsmasq and nginx', unit: 's for all', better: 'lower',
  conditions: `${clients} clients at once, servers and clients on both cores. Each: DISCOVER to ACK as UEFI firmware behind a relay, ${loader} by TFTP (blocks of 1,468 bytes, ${window === 1 ? 'no windows' : `windows of ${window} where the server knows them, as EDK2 asks; dnsmasq does not`}), a script, a kernel of ${sizes.kernel >> 20} MiB and an initrd of ${sizes.initrd >> 20} MiB by HTTP, a connection each; every byte is compared. Ours: region and rack in one process, each lease committed (fsync) in PostgreSQL before its ACK, each client's script composed for it, each request reported and stored. Peer: dnsmasq with its lease file (not synced), no ping of addresses, 1,000 TFTP transfers allowed; nginx with sendfile and one worker; the same script for everybody, from a file; nothing reported.`,
  async prepare (place): Promise<Prepared> {
    const stand = await makeStand(place, sizes)
    const peer = await startDnsmasq(place, { stand, loaders, loader })
    try {
      const bedplate = await startBedplate(place, { name: 'bedplate', region: { address: '10.64.0.1', cpus: cores.all } })
      try {
        await importImage(place, bedplate, stand)
        const ours = () => run(place, bedplate, `http://${bedplate.address}:5248/boot/ipxe/%m?arch=x86_64`, stand, window)
        const theirs = () => run(place, peer, peer.script, stand, window)
        for (const [side, warm] of [['ours', ours], ['the peer', theirs]] as const) { const { fault } = await warm(); if (fault !== undefined) place.say(`${side}, warming up: ${fault}`) }
        return { ours, peer: theirs, end: async () => { await bedplate.stop(); await peer.stop() } }
      } catch (error) { await bedplate.stop(); throw error }
    } catch (error) { await peer.stop(); throw error }
  }
})

export const stormArea: Area<Place> = {
  name: 'storm',
  packages: ['dnsmasq-base', 'nginx-light', 'ipxe', 'gcc', 'libc6-dev', 'iproute2', 'util-linux', 'curl', 'postgresql', 'postgresql-contrib'],
  cases: [storm(`storm-${clients}`, 1, 4), storm(`storm-${clients}-lockstep`, null, 1)],
  open: say => openPlace(join(import.meta.dirname, 'stormload.c'), say),
  close: place => place.close(),
  versions: async () => [await firstLine('/usr/sbin/dnsmasq', ['--version']), await firstLine('/usr/sbin/nginx', ['-v']), await firstLine('/usr/bin/psql', ['--version'])]
}
