/** The iSCSI area of the bench: reads of a disk in the page cache, beside tgt. */
import type { Area, Case, Prepared } from '../area.ts'
import { firstLine } from '../machine.ts'
import { load } from './load.ts'
import type { LoadOptions } from './load.ts'
import { closePlace, openPlace } from './place.ts'
import type { Place } from './place.ts'

const seconds = 4
const mebi = 2 ** 20
const reading = ({ name, required, ...how }: Pick<LoadOptions, 'bytes' | 'order' | 'depth'> & { readonly name: string, readonly required: number | null }): Case<Place> => ({
  name, required, peerName: 'tgt, rdwr', unit: 'IOPS', better: 'higher',
  conditions: `${how.order === 'random' ? 'Random' : 'Sequential'} reads of ${how.bytes >= mebi ? `${how.bytes / mebi} MiB` : `${how.bytes / 1024} KiB`}, ${how.depth} at once over one connection, ${seconds} s a run, of a disk of 1 GiB in the page cache. Each server alone on core 0 with all its threads: ours is "bedplate iscsi serve", tgt has the backing store of its default. The client, a small C program, on core 1 copies every byte out of the kernel; before the rounds every byte of both is compared with the file. CPU: what the server had, the kernel's part of the loopback included.`,
  async prepare (place): Promise<Prepared> {
    for (const server of [place.ours, place.tgt]) {
      const { fault } = await load(place, { server, bytes: 65_536, order: 'sequential', depth: 32, seconds: 0 }, true)
      if (fault !== undefined) throw new TypeError(`${server === place.ours ? 'ours' : 'tgt'}: ${fault}`)
    }
    const measured = (server: Place['ours']) => async () => {
      await load(place, { server, ...how, seconds: 0.5 }) // what the other one's run has cooled is warm again
      return load(place, { server, ...how, seconds })
    }
    return { ours: measured(place.ours), peer: measured(place.tgt), end: async () => {} }
  }
})

export const iscsi: Area<Place> = {
  name: 'iscsi',
  packages: ['tgt', 'gcc', 'libc6-dev', 'util-linux'],
  cases: [
    reading({ name: 'iscsi-rand4k', required: 2.5, bytes: 4096, order: 'random', depth: 32 }),
    reading({ name: 'iscsi-seq64k', required: 1.6, bytes: 65_536, order: 'sequential', depth: 32 }),
    reading({ name: 'iscsi-seq256k', required: null, bytes: 262_144, order: 'sequential', depth: 32 }),
    reading({ name: 'iscsi-rand4k-1', required: null, bytes: 4096, order: 'random', depth: 1 })
  ],
  open: openPlace,
  close: closePlace,
  versions: async () => [`tgt ${await firstLine('/usr/sbin/tgtd', ['--version'])}`]
}
