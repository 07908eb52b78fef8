/** What is said at /enrol. */
import { Type } from 'typebox'

export const EnrolRequest = Type.Object({
  token: Type.Object({ id: Type.String({ maxLength: 64 }), secret: Type.String({ maxLength: 128 }) }),
  csr: Type.String({ maxLength: 8192 }), hostname: Type.String({ minLength: 1, maxLength: 255 }),
  roles: Type.Array(Type.Union([Type.Literal('region'), Type.Literal('rack')]), { minItems: 1, maxItems: 2 })
})
export const EnrolAnswer = Type.Object({
  controller: Type.String(), certificate: Type.String(), authority: Type.String(),
  regions: Type.Array(Type.Object({ controller: Type.String(), urls: Type.Array(Type.String()) }))
})
