/** What is said at /enrol and /leave. */
import { Type, type Static } from 'typebox'

const Roles = Type.Array(Type.Union([Type.Literal('region'), Type.Literal('rack')]), { minItems: 1, maxItems: 2 })
const Regions = Type.Array(Type.Object({ controller: Type.String(), urls: Type.Array(Type.String()) }))

export const EnrolRequest = Type.Object({
  token: Type.Object({ id: Type.String({ maxLength: 64 }), secret: Type.String({ maxLength: 128 }) }),
  csr: Type.String({ maxLength: 8192 }), hostname: Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\u0000]*$' }),
  /** Without: all that the token allows. */
  roles: Type.Optional(Roles),
  version: Type.Optional(Type.String({ maxLength: 128 })),
  /** Where the new region reaches the database, when it is to be told otherwise than the region that answers. */
  databaseHosts: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { minItems: 1, maxItems: 64 }))
})

/** What a region needs beyond its identity. */
export const RegionNeeds = Type.Object({
  database: Type.Object({ hosts: Type.Array(Type.String()), name: Type.String(), user: Type.String(), password: Type.String() }),
  secretKey: Type.String({ pattern: '^[0-9a-f]{64}$' })
})
export type RegionNeeds = Static<typeof RegionNeeds>

export const EnrolAnswer = Type.Object({
  controller: Type.String(), certificate: Type.String(), authority: Type.String(), regions: Regions,
  roles: Type.Optional(Roles), version: Type.Optional(Type.String({ maxLength: 128 })), region: Type.Optional(RegionNeeds)
})
export type EnrolAnswer = Static<typeof EnrolAnswer>

/** `check`: only whether it may. `delivered`: all of the rack's facts have arrived. */
export const LeaveRequest = Type.Object({ check: Type.Boolean(), delivered: Type.Optional(Type.Boolean()) })
/** `left`: it is no controller of this installation any more. */
export const LeaveAnswer = Type.Object({ left: Type.Boolean(), regions: Regions })
export type LeaveAnswer = Static<typeof LeaveAnswer>
