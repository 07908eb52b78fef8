/** What a Redfish service says of itself (DSP0268 ServiceRoot). Pure. */
import { link, object, text, within, type Json } from '../../connection/json.ts'

export interface Root {
  readonly systems: string
  readonly managers: string
  readonly updates: string | undefined
  readonly sessions: string | undefined // undefined: it has none
  readonly expand: string | undefined // the query that has a collection's members come along with it; undefined: it cannot
  readonly vendor: string | undefined
  readonly product: string | undefined
}
export const usual = { root: '/redfish/v1/', systems: '/redfish/v1/Systems', managers: '/redfish/v1/Managers', sessions: '/redfish/v1/SessionService/Sessions' }

/** `shown`: whether the BMC let it be seen at all; where it did not, everything is taken to be at its usual place. */
export function rootFrom (body: Json, shown: boolean): Root {
  const oem = Object.keys(object(body.Oem)).find(name => /^[A-Z]/.test(name) && name !== 'Redfish')
  return {
    systems: link(body.Systems) ?? usual.systems,
    managers: link(body.Managers) ?? usual.managers,
    updates: link(body.UpdateService),
    sessions: shown ? link(within(body, 'Links', 'Sessions')) ?? (link(body.SessionService) === undefined ? undefined : `${link(body.SessionService)?.replace(/\/$/, '')}/Sessions`) : usual.sessions,
    expand: expandQuery(object(within(body, 'ProtocolFeaturesSupported', 'ExpandQuery'))),
    vendor: text(body.Vendor) ?? oem,
    product: text(body.Product)
  }
}

/** DSP0266 clause 7.3.2: `.` takes the members and leaves out what is under Links, `*` takes both. */
function expandQuery ({ NoLinks, ExpandAll, Levels }: Json): string | undefined {
  const what = NoLinks === true ? '.' : ExpandAll === true ? '*' : undefined
  return what === undefined ? undefined : `$expand=${what}${Levels === true ? '($levels=1)' : ''}`
}
