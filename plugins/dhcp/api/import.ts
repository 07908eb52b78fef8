/** /import: takes over what an ISC dhcpd.conf says, as far as it can be, and names the rest. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database, Tx } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { scopeOf } from '../config/custom.ts'
import { longest } from '../config/isc-text.ts'
import { readIsc } from '../config/isc.ts'
import { takeOver } from '../config/takeover.ts'
import { lockSettings, rehearse } from '../store/settings.ts'

const Taken = Type.Object({ line: Type.Integer(), what: Type.String() })
const Missing = Type.Object({
  subnets: Type.Array(Type.Object({ cidr: Type.String(), gateway: Type.Union([Type.String(), Type.Null()]), dnsServers: Type.Array(Type.String()) })),
  ranges: Type.Array(Type.Object({ cidr: Type.String(), start: Type.String(), end: Type.String() }))
}, { description: 'what the network lacks for the rest: add it and import again' })
const Left = Type.Object({ line: Type.Integer(), what: Type.String(), why: Type.String() })

export const importRoutes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  const cidrOf = async (tx: Tx, id: string): Promise<string> => {
    const [subnet] = await network.subnets(tx, { ids: [id] })
    if (subnet === undefined) throw new BedplateError('NOT_FOUND', { what: 'subnet', id })
    return subnet.cidr
  }
  app.post('/import', {
    bodyLimit: 4 * longest,
    schema: {
      tags: ['dhcp'],
      summary: 'Take over what an ISC dhcpd.conf says; what cannot be taken is named by line, with the reason',
      querystring: Type.Object({ scope: Type.Optional(Type.String({ maxLength: 80, description: '`subnet:<id>` or `mac:<mac>`: the text is what stands in the block of that subnet or host' })), dryRun: Type.Boolean({ default: false, description: 'only say what would be done' }) }),
      body: Type.Object({ text: Type.String({ maxLength: longest, description: 'the file' }) }, { additionalProperties: false }),
      response: { 200: Type.Object({ dryRun: Type.Boolean(), taken: Type.Array(Taken), left: Type.Array(Left), missing: Missing }) }
    }
  }, async ({ query: { dryRun, scope: given }, body: { text } }) => {
    const scope = given === undefined ? undefined : scopeOf(given)
    return await db.tx(async tx => {
      await lockSettings(tx)
      const plan = readIsc(text, scope?.kind === 'subnet' ? { cidr: await cidrOf(tx, scope.id) } : scope?.kind === 'mac' ? { mac: scope.id } : undefined)
      const work = (within: Tx) => takeOver(within, network, plan)
      const { taken, left, missing } = dryRun ? await rehearse(tx, work) : await work(tx)
      return { dryRun, taken, left, missing }
    })
  })
}
