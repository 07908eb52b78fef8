/** The HTTP area of the bench: the files machines boot, beside nginx with sendfile. */
import { join } from 'node:path'
import type { Area, Case, Prepared } from '../area.ts'
import { startBedplate } from '../dhcp/bedplate.ts'
import type { Bedplate } from '../dhcp/bedplate.ts'
import type { Place } from '../dhcp/place.ts'
import { firstLine } from '../machine.ts'
import { importImage, makeStand } from './image.ts'
import type { Part, Stand } from './image.ts'
import { load } from './load.ts'
import { nginxPort, startNginx } from './nginx.ts'
import { openPlace } from './place.ts'

const sizes = { kernel: 1 << 20, initrd: 1 << 20, root: 64 << 20 }
let stand: Promise<Stand> | undefined
const standOf = (place: Place): Promise<Stand> => stand ??= makeStand(place, sizes)
const ours = (place: Place): Promise<Bedplate> => place.server('bedplate', async () => {
  const bedplate = await startBedplate(place, { name: 'bedplate', region: { address: '10.64.0.1' } })
  await importImage(place, bedplate, await standOf(place))
  return bedplate
})
const nginx = (place: Place) => place.server('nginx', async () => startNginx(place, { host: await place.segment.host('nginx', '10.64.0.50'), root: (await standOf(place)).folder }))

interface Options { readonly name: string, readonly required: number | null, readonly part: 'initrd' | 'root', readonly clients: number, readonly files: number, readonly drop?: boolean }
const fetching = ({ name, required, part, clients, files, drop = false }: Options): Case<Place> => ({
  name, required, peerName: 'nginx, sendfile', unit: 'MiB/s', better: 'higher',
  conditions: `A file of ${sizes[part] >> 20} MiB, ${clients} clients at once, ${files} files a run, each over a new connection. Ours: region and rack in one process on core 0 (threads included), the whole daemon with every plugin, each file reported. nginx: one worker on core 0, sendfile, tcp_nopush, open_file_cache, no log. The clients on core 1 ${drop ? 'let their kernel drop the bytes unread (MSG_TRUNC), so that the server is what limits' : 'copy every byte out of the kernel'}; before the rounds every byte is compared once. CPU: what the server's processes had, the kernel's part of both ends of the cable included.`,
  async prepare (place): Promise<Prepared> {
    const one = (await standOf(place))[part]
    const sides = { ours: { server: await ours(place), port: 5248, path: `/boot/files/${one.sha256}/${part}` }, peer: { server: await nginx(place), port: nginxPort, path: one.file.replace(/^.*\//, '/') } }
    const compared = async (side: keyof typeof sides, file: Part) => {
      const { fault } = await load(place, { ...sides[side], size: file.size, clients: Math.min(clients, 4), files: Math.min(files, 16), reference: file.file })
      if (fault !== undefined) throw new TypeError(`${side}: ${fault}`)
    }
    await compared('ours', one)
    await compared('peer', one)
    const measured = (side: keyof typeof sides) => () => load(place, { ...sides[side], size: one.size, clients, files, drop })
    return { ours: measured('ours'), peer: measured('peer'), end: async () => {} }
  }
})

export const httpboot: Area<Place> = {
  name: 'httpboot',
  packages: ['nginx-light', 'gcc', 'libc6-dev', 'iproute2', 'util-linux', 'curl', 'postgresql', 'postgresql-contrib', 'ipxe'],
  cases: [
    fetching({ name: 'httpboot-64MiB', required: 0.6, part: 'root', clients: 16, files: 128 }),
    fetching({ name: 'httpboot-64MiB-1', required: null, part: 'root', clients: 1, files: 32 }),
    fetching({ name: 'httpboot-64MiB-drop', required: null, part: 'root', clients: 16, files: 256, drop: true }),
    fetching({ name: 'httpboot-1MiB', required: null, part: 'initrd', clients: 64, files: 4096 })
  ],
  open: say => { stand = undefined; return openPlace(join(import.meta.dirname, 'httpload.c'), say) },
  close: place => place.close(),
  versions: async () => [await firstLine('/usr/sbin/nginx', ['-v']), await firstLine('/usr/bin/psql', ['--version'])]
}
