/** The core's own settings: what a controller must know before it reaches its database. Everything else lives behind the API. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { asFlag, leaves } from './schema.ts'

const port = (value: number, what: string) => Type.Integer({ minimum: 0, maximum: 65535, default: value, description: `TCP port of ${what}; 0 takes any free one` })
const host = (what: string) => Type.String({ minLength: 1, default: '::', description: `Address ${what} listens on; :: takes IPv4 and IPv6` })

export const settingsSchema = Type.Object({
  roles: Type.Array(Type.Enum(['region', 'rack']), { default: ['region', 'rack'], minItems: 1, uniqueItems: true, description: 'What this controller does' }),
  dataDirectory: Type.String({ minLength: 1, default: '/var/lib/bedplate', description: 'Folder for keys, the embedded database, and a rack\'s state. Without root the default is ~/.local/state/bedplate' }),
  hostname: Type.Optional(Type.String({ minLength: 1, description: 'Name this controller is shown under; the system\'s when absent' })),
  log: Type.Object({
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { default: 'info', description: 'Least severe line that is written' })
  }),
  http: Type.Object({
    host: host('the region API'),
    port: port(5240, 'the region API'),
    socket: Type.Optional(Type.String({ minLength: 1, description: 'Path of a unix socket the region API listens on as well' }))
  }),
  rackHttp: Type.Object({ host: host('the rack\'s HTTP service'), port: port(5248, 'the rack\'s HTTP service') }),
  rpc: Type.Object({
    host: host('the region\'s link to the racks'),
    port: port(5250, 'the region\'s link to the racks'),
    advertise: Type.Array(Type.String({ minLength: 1 }), { default: [], description: 'Addresses (host or host:port) racks are told to reach this region at; empty means its own' })
  }),
  regions: Type.Array(Type.String({ minLength: 1 }), { default: [], description: 'Regions (host or host:port) a rack links to; it learns the others from the first one' }),
  plugins: Type.Array(Type.String({ minLength: 1 }), { default: [], uniqueItems: true, description: 'Plugins from outside, in order: npm package names, or paths (absolute, or beginning with ./ or ../ and relative to the configuration file)' }),
  without: Type.Array(Type.String({ minLength: 1 }), { default: [], uniqueItems: true, description: 'Built-in plugins to leave out' }),
  enrolmentToken: Type.Optional(Type.String({ minLength: 1, description: 'One-time token this controller enrols with' })),
  vip: Type.Optional(Type.Object({
    addresses: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, uniqueItems: true, description: 'Floating addresses, each with its prefix length (10.0.0.10/24, fd00::10/64): on one ready region at a time, all together' }),
    interface: Type.Optional(Type.String({ minLength: 1, description: 'Interface they are put on; the one that has an address in the same network when absent' }))
  }, { description: 'An address that is always at a region that runs, without keepalived; the same on every region' })),
  database: Type.Optional(Type.Object({
    hosts: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description: 'PostgreSQL servers (host or host:port); the one that accepts writes is found' }),
    name: Type.String({ minLength: 1, default: 'bedplate', description: 'Database name' }),
    user: Type.String({ minLength: 1, default: 'bedplate', description: 'Database user' }),
    password: Type.String({ default: '', description: 'Database password' })
  }, { description: 'Own PostgreSQL servers; without this the embedded one runs' })),
  embedded: Type.Optional(Type.Object({
    listen: Type.String({ minLength: 1, description: 'Address of this host (host or host:port; 5432 unless given) at which regions on other hosts reach the embedded database, by a password; without it none can join' })
  }, { description: 'The embedded PostgreSQL' }))
})

export type Settings = Static<typeof settingsSchema>

/** One line for each setting: flag, default, what it is. */
export function settingsHelp (): string {
  return leaves(settingsSchema).map(({ path, schema }) => {
    const { default: value, description = '' } = schema as { default?: unknown, description?: string }
    const shown = value === undefined || value === '' || (Array.isArray(value) && value.length === 0) ? '' : ` [${[value].flat().join(',')}]`
    return `  --${asFlag(path).padEnd(20)} ${description}${shown}\n`
  }).join('')
}
