/** Where the quick tests have their temporary files: in memory where the system has a folder for that, since a disk that others keep busy makes every sync wait for seconds. */
import { readFileSync, statfsSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'

const folder = '/dev/shm'
const room = 3 * 2 ** 30 // bytes; a run needs about 1 GiB

/** A tmpfs with enough room that programs may be run from (containers often have a small one, or one without); else the usual temporary folder. */
export function scratch (): string {
  try {
    const options = readFileSync('/proc/mounts', 'utf8').split('\n').map(line => line.split(' ')).find(([, at, type]) => at === folder && type === 'tmpfs')?.[3]?.split(',')
    const { bavail, bsize } = statfsSync(folder)
    if (options?.includes('rw') && !options.includes('noexec') && bavail * bsize > room && freemem() > room) return folder
  } catch { /* no such thing here */ }
  return tmpdir()
}
