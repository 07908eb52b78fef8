/** What an operator says of a machine that is no step of its life: its name, its tags, how it boots. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database, Tx } from '../../core/plugin.ts'
import { ways, type Way } from '../images/manifest.ts'
import type { Lifecycle } from './lifecycle.ts'
import * as store from './store.ts'
import type { MachineRow } from './transition.ts'
import { ByName, Hostname, MachineView, Tag } from './views.ts'

export interface SettingsOptions {
  readonly db: Database, readonly lifecycle: Lifecycle
  /** By id or hostname. NOT_FOUND. */
  one(name: string): Promise<MachineRow>
  viewed(q: Tx, machine: MachineRow): Promise<Static<typeof MachineView>>
}
interface Settings { readonly hostname?: string, readonly tags?: readonly string[], readonly bootWay?: Way | null }

const mostTags = 100
/** Each tag once, in one order: the same set is the same list. */
const asSet = (tags: readonly string[]): string[] => [...new Set(tags)].sort()
const by = (principal: { readonly name: string } | undefined): string => principal === undefined ? '' : ` by ${principal.name}`

export const settingsRoutes = ({ db, lifecycle, one, viewed }: SettingsOptions): FastifyPluginAsyncTypebox => async app => {
  /** Writes what is different, with a line of history for each difference. */
  async function settle (tx: Tx, before: MachineRow, { hostname, tags, bootWay }: Settings, who: string): Promise<void> {
    const { id } = before
    const record = (type: string, message: string) => lifecycle.record(tx, id, { type, level: 'info', message })
    let different = false
    if (hostname !== undefined && hostname !== before.hostname) {
      if (!await store.rename(tx, id, hostname)) throw new BedplateError('CONFLICT', { reason: `There is already a machine ${hostname}.` })
      await record('renamed', `Renamed from ${before.hostname} to ${hostname}`)
      different = true
    }
    if (tags !== undefined) {
      const wanted = asSet(tags)
      if (wanted.length > mostTags) throw new BedplateError('INVALID_REQUEST', { reason: `a machine has at most ${mostTags} tags` })
      const [added, removed] = [wanted.filter(tag => !before.tags.includes(tag)), before.tags.filter(tag => !wanted.includes(tag))]
      if (added.length + removed.length > 0) {
        await store.setTags(tx, id, wanted)
        await record('tags', [...added.length > 0 ? [`Tagged ${added.join(', ')}`] : [], ...removed.length > 0 ? [`${added.length > 0 ? 'no' : 'No'} longer tagged ${removed.join(', ')}`] : []].join('; ') + who)
        different = true
      }
    }
    if (bootWay !== undefined && bootWay !== before.bootWay) {
      await store.setBootWay(tx, id, bootWay)
      await record('boot', bootWay === null ? `Way to its root left to its image${who}` : `Way to its root set to ${bootWay}${who}`)
      different = true
    }
    if (different) await tx.changed('machines.machine', id)
  }

  app.patch('/:name', {
    schema: {
      summary: 'Rename a machine, set its tags, or say how it boots', params: ByName, response: { 200: MachineView },
      body: Type.Object({
        hostname: Type.Optional(Hostname), tags: Type.Optional(Type.Array(Tag, { maxItems: mostTags, description: 'all of its tags' })),
        bootWay: Type.Optional(Type.Union([Type.Enum([...ways]), Type.Null()], { description: 'how a system that runs from memory gets its root; null: as its image says' }))
      }, { minProperties: 1 })
    }
  }, async (request, reply) => {
    const { params, body } = request
    const { id } = await one(params.name)
    const changed = await db.tx(async tx => {
      const before = await lifecycle.locked(tx, id)
      request.requireMatch(before.version, 'machine', params.name)
      await settle(tx, before, body, by(request.principal))
      const after = await lifecycle.locked(tx, id)
      return { version: after.version, body: await viewed(tx, after) }
    })
    void reply.etag(changed.version)
    return changed.body
  })

  // One tag at a time as well: two operators who tag a machine at once both keep their tag.
  const schema = { params: Type.Object({ ...ByName.properties, tag: Tag }), response: { 200: MachineView } }
  const retag = async (name: string, who: string, change: (tags: readonly string[]) => readonly string[]) => {
    const { id } = await one(name)
    return await db.tx(async tx => {
      const before = await lifecycle.locked(tx, id)
      await settle(tx, before, { tags: change(before.tags) }, who)
      return await viewed(tx, await lifecycle.locked(tx, id))
    })
  }
  app.put('/:name/tags/:tag', { schema: { summary: 'Tag a machine', ...schema } }, async ({ params: { name, tag }, principal }) => await retag(name, by(principal), tags => [...tags, tag]))
  app.delete('/:name/tags/:tag', { schema: { summary: 'Take a tag from a machine', ...schema } }, async ({ params: { name, tag }, principal }) => await retag(name, by(principal), tags => tags.filter(other => other !== tag)))
}
