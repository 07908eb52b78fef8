/** The TFTP area of the bench: what firmware fetches, beside tftpd-hpa, atftpd and dnsmasq. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Area, Case, Prepared } from '../area.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { openPlace } from '../httpboot/place.ts'
import { firstLine } from '../machine.ts'
import { startBedplate } from './bedplate.ts'
import { load, sourceOfLoad } from './load.ts'
import type { LoadOptions } from './load.ts'
import { startAtftpd, startDnsmasq, startHpa } from './peers.ts'

const files = { 'large.bin': 64 << 20, 'loader.bin': 1 << 20 }
const peers = { 'tftpd-hpa': startHpa, atftpd: startAtftpd, dnsmasq: startDnsmasq }

const folderOf = (place: Place): string => join(place.folder, 'tftp')
async function openArea (say: (line: string) => void): Promise<Place> {
  const place = await openPlace(await sourceOfLoad(), say)
  await mkdir(folderOf(place))
  for (const [name, size] of Object.entries(files)) await writeFile(join(folderOf(place), name), randomBytes(size), { mode: 0o644 })
  return place
}

interface Options extends Omit<LoadOptions, 'server' | 'reference' | 'windowSize' | 'name' | 'mayLose'> {
  readonly case: string, readonly required: number | null
  readonly file: keyof typeof files
  readonly peer: keyof typeof peers
  readonly windowSize?: number
}
const server = (place: Place, name: 'bedplate' | keyof typeof peers): Promise<Server> =>
  place.server(name, () => name === 'bedplate' ? startBedplate(place, folderOf(place)) : peers[name](place, folderOf(place)))

const fetching = ({ case: name, required, file, peer, windowSize = 16, figure, ...rest }: Options): Case<Place> => ({
  name, required, peerName: peer, unit: figure === 'rate' ? 'MiB/s' : 'ms, p99 per file', better: figure === 'rate' ? 'higher' : 'lower',
  conditions: `${rest.files} files of ${files[file] >> 20} MiB, ${rest.clients} at once, from the page cache; blksize 1468, windowsize ${windowSize} asked by the clients (tftpd-hpa and dnsmasq know none and grant none); every byte compared.${rest.loss === undefined ? '' : ` The clients drop ${rest.loss} % of the blocks and of their ACKs by dice, the same in each round, and repeat an ACK after 300 ms; files a peer gives up are told as lost and count for nothing.`} Each server on core 0, the clients on core 1. Ours: region and rack in one process, the whole daemon with every plugin, each file reported.`,
  async prepare (place): Promise<Prepared> {
    const sides = { ours: await server(place, 'bedplate'), peer: await server(place, peer) }
    const measured = (side: keyof typeof sides) => () => load(place, { ...rest, figure, windowSize, name: file, reference: join(folderOf(place), file), server: sides[side], mayLose: side === 'peer' && rest.loss !== undefined })
    for (const side of ['peer', 'ours'] as const) await load(place, { figure, windowSize, files: 1, clients: 1, name: file, reference: join(folderOf(place), file), server: sides[side] }) // warm
    return { ours: measured('ours'), peer: measured('peer'), end: async () => {} }
  }
})

const eight = { file: 'large.bin', clients: 8, files: 8, figure: 'rate' } as const
const one = { file: 'large.bin', clients: 1, files: 1, figure: 'rate' } as const
const storm = { file: 'loader.bin', clients: 200, files: 200, figure: 'p99' } as const
const lossy = { file: 'loader.bin', clients: 8, files: 16, loss: 0.5, figure: 'rate' } as const

export const tftp: Area<Place> = {
  name: 'tftp',
  packages: ['tftpd-hpa', 'dnsmasq-base', 'gcc', 'libc6-dev', 'iproute2', 'util-linux', 'curl', 'postgresql', 'postgresql-contrib'],
  cases: [
    fetching({ ...eight, case: 'tftp-8', required: 1.6, peer: 'tftpd-hpa' }),
    fetching({ ...eight, case: 'tftp-8-atftpd', required: 0.95, peer: 'atftpd' }),
    fetching({ ...eight, case: 'tftp-8-dnsmasq', required: null, peer: 'dnsmasq' }),
    fetching({ ...eight, case: 'tftp-8-w1', required: null, peer: 'dnsmasq', windowSize: 1 }),
    fetching({ ...one, case: 'tftp-1', required: 5, peer: 'tftpd-hpa' }),
    fetching({ ...one, case: 'tftp-1-dnsmasq', required: 5, peer: 'dnsmasq' }),
    fetching({ ...one, case: 'tftp-1-atftpd', required: null, peer: 'atftpd' }),
    fetching({ ...storm, case: 'tftp-storm', required: 3, peer: 'tftpd-hpa' }),
    fetching({ ...storm, case: 'tftp-storm-atftpd', required: null, peer: 'atftpd' }),
    fetching({ ...storm, case: 'tftp-storm-dnsmasq', required: null, peer: 'dnsmasq' }),
    fetching({ ...lossy, case: 'tftp-lossy', required: 10, peer: 'tftpd-hpa' }),
    fetching({ ...lossy, case: 'tftp-lossy-atftpd', required: null, peer: 'atftpd' })
  ],
  open: openArea,
  close: place => place.close(),
  versions: async () => [await firstLine('/usr/sbin/in.tftpd', ['--version']), `atftpd ${(await firstLine('/usr/bin/apt-cache', ['madison', 'atftpd'])).split('|')[1]?.trim()}`, (await firstLine('/usr/sbin/dnsmasq', ['--version'])).replace(/ {2}.*/, ''), await firstLine('/usr/bin/psql', ['--version'])]
}
