/** /api/v1/power/machines/:machine/…: what a machine's BMC tells besides power, and its virtual drive. Asked for now, kept nowhere. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type TSchema, type Static } from 'typebox'
import Value from 'typebox/value'
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import { can, lacks, type Looked } from '../capabilities.ts'
import { driverNamed } from '../drivers.ts'
import type { Racks } from '../region/racks.ts'
import type { PowerCore } from '../region/service.ts'

export interface HardwareOptions { readonly db: Database, readonly power: Pick<PowerCore, 'target'>, readonly racks: Pick<Racks, 'ask'> }

const Text = Type.String()
const Maybe = Type.Union([Text, Type.Null()])
const Identity = Type.Object({ uuid: Maybe, manufacturer: Maybe, model: Maybe, serial: Maybe, bmcVersion: Maybe })
const Sensor = Type.Object({ name: Text, kind: Type.Enum(['temperature', 'fan', 'voltage', 'current', 'power', 'other']), value: Type.Union([Type.Number(), Type.Null()]), unit: Text, status: Type.Enum(['ok', 'warning', 'critical', 'unknown']) })
const LogEntry = Type.Object({ id: Text, at: Maybe, severity: Type.Enum(['info', 'warning', 'critical']), message: Text })
const FirmwareItem = Type.Object({ name: Text, version: Maybe, updateable: Type.Union([Type.Boolean(), Type.Null()]) })
const Media = Type.Object({ image: Type.Union([Text, Type.Null()], { description: 'URL of what is in the virtual drive' }) })
const Image = Type.Object({ image: Type.String({ minLength: 1, maxLength: 2000, pattern: '^(https?|nfs|cifs|smb)://\\S+$', description: 'URL the BMC fetches the image from' }) })
const ByMachine = Type.Object({ machine: Type.String({ minLength: 1, maxLength: 63, description: 'id of the machine' }) })

const lookWithin = 60_000 // ms
const insertWithin = 120_000

export const hardwareRoutes = ({ db, power, racks }: HardwareOptions): FastifyPluginAsyncTypebox => async app => {
  /** Through a rack that reaches the BMC. POWER_UNSUPPORTED before any is asked. */
  async function look<T extends TSchema> (machine: string, what: Looked, shape: T): Promise<Static<T>> {
    const { driver, parameters } = await power.target(db, machine)
    if (!can(driverNamed(driver), what)) throw lacks(driverNamed(driver), what)
    const { rack, value: { value } } = await racks.ask(machine, what, lookWithin, (client, options) => client.look({ machine, driver, parameters: { ...parameters }, what }, options))
    if (!Value.Check(shape, value)) throw new BedplateError('POWER_FAILED', { action: what, reason: `the rack ${rack} gave an answer that this region does not understand; it may be of another version` })
    return value
  }
  const insert = async (machine: string, image: string | null): Promise<Static<typeof Media>> => {
    const { driver, parameters } = await power.target(db, machine)
    if (!can(driverNamed(driver), 'insert')) throw lacks(driverNamed(driver), 'insert')
    return (await racks.ask(machine, 'insert', insertWithin, (client, options) => client.insert({ machine, driver, parameters: { ...parameters }, image }, options))).value
  }

  app.get('/machines/:machine/identity', { schema: { summary: 'What the BMC says its machine is', params: ByMachine, response: { 200: Identity } } }, async ({ params }) => await look(params.machine, 'identity', Identity))
  app.get('/machines/:machine/media', { schema: { summary: 'What is in the virtual drive', params: ByMachine, response: { 200: Media } } }, async ({ params }) => await look(params.machine, 'media', Media))
  const lists = [['sensors', 'The BMC\'s sensors', Sensor], ['log', 'The BMC\'s own log, newest first, 500 entries at most', LogEntry], ['firmware', 'Firmware that is installed', FirmwareItem]] as const
  for (const [what, summary, Item] of lists) {
    app.get(`/machines/:machine/${what}`, { schema: { summary, params: ByMachine, response: { 200: Type.Object({ items: Type.Array<TSchema>(Item) }) } } }, async ({ params }) => ({ items: await look(params.machine, what, Type.Array<TSchema>(Item)) }))
  }
  app.put('/machines/:machine/media', { schema: { summary: 'Put an image into the virtual drive', params: ByMachine, body: Image, response: { 200: Media } } }, async ({ params, body }) => await insert(params.machine, body.image))
  app.delete('/machines/:machine/media', { schema: { summary: 'Take out what is in the virtual drive', params: ByMachine, response: { 200: Media } } }, async ({ params }) => await insert(params.machine, null))
}
