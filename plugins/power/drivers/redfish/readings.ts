/** Sensor readings in the forms Redfish had for them one after another (DSP0268 Thermal, Power, Sensor, EnvironmentMetrics, ThermalMetrics, Fan). Pure. */
import type { Sensor } from '../../driver.ts'
import { list, number, object, text, within, type Json } from '../../connection/json.ts'

type Kind = Sensor['kind']
const units: { readonly [K in Kind]: string } = { temperature: '°C', fan: 'RPM', voltage: 'V', current: 'A', power: 'W', other: '' }
const kinds: Readonly<Record<string, Kind>> = { Temperature: 'temperature', Rotational: 'fan', '{rev}/min': 'fan', Voltage: 'voltage', Current: 'current', Power: 'power', Cel: 'temperature', RPM: 'fan', V: 'voltage', A: 'current', W: 'power' }

/** Where the BMC tells no health, its own thresholds do: a pair of which only one is there counts by that one. */
function statusOf (body: Json, value: number | null, upper: readonly [unknown, unknown], lower: readonly [unknown, unknown]): Sensor['status'] {
  switch (text(within(body, 'Status', 'Health'))) {
    case 'OK': return 'ok'
    case 'Warning': return 'warning'
    case 'Critical': return 'critical'
  }
  const [caution, critical] = upper.map(number)
  const [lowCaution, lowCritical] = lower.map(number)
  if (value === null || [caution, critical, lowCaution, lowCritical].every(limit => limit === undefined)) return 'unknown'
  if (value >= (critical ?? Infinity) || value <= (lowCritical ?? -Infinity)) return 'critical'
  return value >= (caution ?? Infinity) || value <= (lowCaution ?? -Infinity) ? 'warning' : 'ok'
}
const absent = (body: Json): boolean => text(within(body, 'Status', 'State')) === 'Absent'
const nameOf = (body: Json, otherwise: string): string => (text(body.Name) ?? text(body.FanName) ?? text(body.DeviceName) ?? text(body.Id) ?? text(body.MemberId) ?? otherwise).slice(0, 200)

function reading (body: Json, kind: Kind, value: unknown, unit = units[kind], otherwise = kind as string): readonly Sensor[] {
  if (absent(body)) return []
  const read = number(value) ?? null
  return [{ name: nameOf(body, otherwise), kind, value: read, unit, status: statusOf(body, read, [body.UpperThresholdNonCritical, body.UpperThresholdCritical], [body.LowerThresholdNonCritical, body.LowerThresholdCritical]) }]
}

/** Of a Thermal resource. */
export const fromThermal = (body: Json): readonly Sensor[] => [
  ...list(body.Temperatures).map(object).flatMap(one => reading(one, 'temperature', one.ReadingCelsius)),
  ...list(body.Fans).map(object).flatMap(one => reading(one, 'fan', one.Reading ?? one.ReadingRPM ?? one.CurrentReading, text(one.ReadingUnits) === 'Percent' || text(one.Units) === 'Percent' ? '%' : 'RPM'))
]

/** Of a Power resource. */
export const fromPower = (body: Json): readonly Sensor[] => [
  ...list(body.PowerControl).map(object).filter(one => one.PowerConsumedWatts !== undefined).flatMap(one => reading(one, 'power', one.PowerConsumedWatts, 'W', 'power consumed')),
  ...list(body.Voltages).map(object).flatMap(one => reading(one, 'voltage', one.ReadingVolts)),
  ...list(body.PowerSupplies).map(object).flatMap(one => reading(one, 'power', one.PowerInputWatts ?? one.LastPowerOutputWatts ?? one.PowerOutputWatts, 'W', 'power supply'))
]

const plainly: Readonly<Record<string, string>> = { Cel: '°C', '{rev}/min': 'RPM' } // what Redfish writes as UCUM does
/** Of one Sensor resource. */
export function fromSensor (body: Json): readonly Sensor[] {
  if (absent(body)) return []
  const unit = text(body.ReadingUnits) ?? ''
  const kind = kinds[text(body.ReadingType) ?? ''] ?? kinds[unit] ?? (unit === '%' && /fan/i.test(nameOf(body, '')) ? 'fan' : 'other')
  const value = number(body.Reading) ?? null
  const limit = (name: string): unknown => within(body, 'Thresholds', name, 'Reading')
  return [{ name: nameOf(body, kind), kind, value, unit: plainly[unit] ?? (unit === '' ? units[kind] : unit), status: statusOf(body, value, [limit('UpperCaution'), limit('UpperCritical')], [limit('LowerCaution'), limit('LowerCritical')]) }]
}

/** What EnvironmentMetrics, ThermalMetrics, PowerSupplyMetrics and Fan hold in them: excerpts of sensors, by property. */
const excerpts: Readonly<Record<string, readonly [Kind, string]>> = {
  TemperatureCelsius: ['temperature', '°C'], PowerWatts: ['power', 'W'], InputPowerWatts: ['power', 'W'], InputVoltage: ['voltage', 'V'], InputCurrentAmps: ['current', 'A'], HumidityPercent: ['other', '%'], SpeedPercent: ['fan', '%'],
  TemperatureReadingsCelsius: ['temperature', '°C'], FanSpeedsPercent: ['fan', '%']
}
/** `owner`: whose they are, to tell alike ones apart. */
export function fromMetrics (body: Json, owner: string): readonly Sensor[] {
  return Object.entries(excerpts).flatMap(([property, [kind, unit]]) => {
    const held = body[property]
    return (Array.isArray(held) ? held : held === undefined || held === null ? [] : [held]).map(object).flatMap((one, index) => {
      const name = text(one.DeviceName) ?? text(one.Name) ?? `${owner} ${property.replace(/(Readings?)?(Celsius|Watts|Percent|Amps)$/, '').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()}${Array.isArray(held) && held.length > 1 ? ` ${index + 1}` : ''}`
      const rpm = kind === 'fan' ? number(one.SpeedRPM) : undefined
      return [{ name, kind, value: rpm ?? number(one.Reading) ?? null, unit: rpm === undefined ? unit : 'RPM', status: statusOf(body, null, [undefined, undefined], [undefined, undefined]) }]
    })
  })
}
