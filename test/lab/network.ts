/** The lab's isolated network: a namespace for the machines' segment, one more for a separate region, and taps on a bridge. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ip = (...args: string[]) => run('ip', args)

/** The machines' segment. Documentation prefixes would be refused as unusable by some clients, so it is a private one inside the namespace. */
export const segment = { cidr: '10.99.0.0/24', rack: '10.99.0.1', prefix: 24, dynamic: { start: '10.99.0.100', end: '10.99.0.199' } }
/** Between region and rack when they are two processes. */
export const backbone = { region: '10.98.0.1', rack: '10.98.0.2', prefix: 24 }

export interface LabNetwork {
  readonly rackNamespace: string
  readonly regionNamespace: string
  readonly taps: readonly string[]
  remove(): Promise<void>
}

/** Makes the namespaces `bpl-<id>-*`. `split`: a namespace of its own for the region, joined by a veth pair. */
export async function createNetwork (id: string, machines: number, split: boolean): Promise<LabNetwork> {
  const rack = `bpl-${id}-rack`
  const region = split ? `bpl-${id}-region` : rack
  const made: string[] = []
  const inside = (namespace: string, ...args: string[]) => ip('-n', namespace, ...args)
  const remove = async () => { for (const namespace of made.splice(0)) await ip('netns', 'del', namespace).catch(() => {}) }
  try {
    for (const namespace of new Set([rack, region])) {
      await ip('netns', 'add', namespace)
      made.push(namespace)
      await inside(namespace, 'link', 'set', 'lo', 'up')
    }
    await inside(rack, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
    await inside(rack, 'addr', 'add', `${segment.rack}/${segment.prefix}`, 'dev', 'br0')
    await inside(rack, 'link', 'set', 'br0', 'up')
    const taps = Array.from({ length: machines }, (_, index) => `tap${index}`)
    for (const tap of taps) {
      await inside(rack, 'tuntap', 'add', tap, 'mode', 'tap')
      await inside(rack, 'link', 'set', tap, 'master', 'br0')
      await inside(rack, 'link', 'set', tap, 'up')
    }
    if (split) {
      await inside(rack, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'down0', 'netns', region)
      await inside(rack, 'addr', 'add', `${backbone.rack}/${backbone.prefix}`, 'dev', 'up0')
      await inside(rack, 'link', 'set', 'up0', 'up')
      await inside(region, 'addr', 'add', `${backbone.region}/${backbone.prefix}`, 'dev', 'down0')
      await inside(region, 'link', 'set', 'down0', 'up')
    }
    return { rackNamespace: rack, regionNamespace: region, taps, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
