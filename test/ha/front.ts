/** The front door of the availability run: haproxy and keepalived beside each region, from the configuration our commands print. */
import { join } from 'node:path'
import { holds, print, startHaproxy, startKeepalived, type Haproxy, type Program } from '../kit/frontdoor.ts'
import { until } from '../kit/wait.ts'
import { vip, type Cluster, type Member } from './cluster.ts'

export interface Front {
  /** The region on whose host the floating address stands. A host that is cut off may still think so: the first whose cable is in counts. */
  holder(): Promise<Member>
  killProxy(member: Member): Promise<void>
  /** Both programs at once, and the address with them, as when the host dies. */
  kill(member: Member): Promise<void>
  /** Starts what does not run. */
  start(member: Member): Promise<void>
  close(): Promise<void>
}

interface Node { readonly member: Member, readonly folder: string, readonly haproxyText: string, readonly keepalivedText: string, haproxy?: Haproxy | undefined, keepalived?: Program | undefined }

export async function startFront (cluster: Cluster, directory: string): Promise<Front> {
  const nodes = new Map<Member, Node>()
  for (const member of cluster.regions) {
    const env = { url: `http://${member.address}:5240`, token: cluster.token() }
    const folder = join(directory, `${member.name}.front`)
    nodes.set(member, {
      member,
      folder,
      haproxyText: await print(member.namespace, ['ha', 'haproxy', '--vip', `${vip}/24`, '--run-directory', folder], env),
      keepalivedText: await print(member.namespace, ['ha', 'keepalived', '--vip', `${vip}/24`, '--interface', 'eth0', '--node', member.name], env)
    })
  }
  const of = (member: Member): Node => nodes.get(member) as Node
  const front: Front = {
    async holder () {
      const holding: Member[] = []
      for (const { member } of nodes.values()) if (await holds(member.namespace, vip)) holding.push(member)
      const [first] = holding
      if (first === undefined) throw new Error('the floating address stands nowhere')
      return first
    },
    async killProxy (member) {
      await of(member).haproxy?.kill('SIGKILL')
      of(member).haproxy = undefined
    },
    async kill (member) {
      const node = of(member)
      await Promise.all([node.haproxy?.kill('SIGKILL'), node.keepalived?.kill('SIGKILL')])
      node.haproxy = node.keepalived = undefined
      // a dead host takes its addresses along
      if (await holds(member.namespace, vip)) await member.namespace.exec(['ip', 'addr', 'del', `${vip}/24`, 'dev', 'eth0'])
    },
    async start (member) {
      const node = of(member)
      node.haproxy ??= await startHaproxy(member.namespace, node.folder, node.haproxyText)
      node.keepalived ??= await startKeepalived(member.namespace, node.folder, node.keepalivedText)
    },
    async close () { for (const { haproxy, keepalived } of nodes.values()) { await keepalived?.stop(); await haproxy?.stop() } }
  }
  for (const member of cluster.regions) await front.start(member)
  await until(() => front.holder().catch(() => undefined), { timeout: 20_000, interval: 100, what: 'the floating address to stand' })
  return front
}
