/** What a record of the SEL says, as a sentence for people. IPMI 2.0 sections 29.7, 32 and 42. Pure. */
import type { SelRecord } from './commands/sel.ts'
import { genericEvents, sensorTypes, specificEvents } from './sensor-types.ts'

export type Severity = 'info' | 'warning' | 'critical'
const hex = (value: number, digits = 2): string => `0x${value.toString(16).padStart(digits, '0')}`
/** Below this the BMC had no clock yet and counted from its start: section 37.1. */
const clockless = 0x20000000
const noTime = 0xffffffff

/** ISO 8601, in the BMC's time; null where it had no clock. */
export const selTime = ({ at }: SelRecord): string | null => at === undefined || at < clockless || at === noTime ? null : new Date(at * 1000).toISOString()

/** `nameOf`: the name of a sensor by its number, where it is known. */
export function describe ({ type, event, manufacturer, oem }: SelRecord, nameOf: (sensor: number) => string | undefined = () => undefined): { readonly severity: Severity, readonly message: string } {
  if (event === undefined) return { severity: 'info', message: `record ${hex(type)} of the maker${manufacturer === undefined ? '' : ` (${manufacturer})`}: ${oem?.toString('hex') ?? ''}` }
  const offset = event.data[0] & 0x0f
  const kind = sensorTypes[event.sensorType] ?? `sensor type ${hex(event.sensorType)}`
  const name = nameOf(event.sensor)
  const marked = event.eventType === 0x6f ? specificEvents[event.sensorType]?.[offset] : genericEvents[event.eventType]?.[offset]
  const what = marked === undefined || marked === '' ? `event ${hex(event.eventType)} offset ${offset}, data ${Buffer.from(event.data).toString('hex')}` : marked.replace(/^[!?]/, '')
  const severity: Severity = !event.asserted ? 'info' : marked?.startsWith('!') ? 'critical' : marked?.startsWith('?') ? 'warning' : 'info'
  return { severity, message: `${kind}${name === undefined ? ` ${hex(event.sensor)}` : ` ${name}`}: ${what}${event.asserted ? '' : ', no more'}` }
}
