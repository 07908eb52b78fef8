/** What the sensors of a machine's chassis say, in as few requests as the service allows. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Sensor } from '../../driver.ts'
import { link, links, text, within, type Json } from '../../connection/json.ts'
import { systemOf } from './power.ts'
import { fromMetrics, fromPower, fromSensor, fromThermal } from './readings.ts'
import type { Found, Service } from './service.ts'
import { systemFrom } from './system.ts'

const most = 512 // sensors
const enclosures = 8 // chassis of one system

/** The older Thermal and Power are two requests for all; Sensors are one where they can be had together, and one each where not, which is asked for only when there is nothing else. POWER_UNSUPPORTED. */
export async function sensors (service: Service): Promise<readonly Sensor[]> {
  const system = await service.get(await systemOf(service))
  const named = systemFrom(system.path, system.body).chassis
  const chassis = named.length > 0 ? named : links((await service.look('/redfish/v1/Chassis'))?.body.Members)
  const all: Sensor[] = []
  for (const path of chassis.slice(0, enclosures)) {
    const found = await service.look(path)
    if (found !== undefined) all.push(...await ofChassis(service, found.body))
  }
  if (all.length === 0) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: 'read sensors on this BMC: it shows none' })
  return all.slice(0, most)
}

async function ofChassis (service: Service, chassis: Json): Promise<readonly Sensor[]> {
  const together = service.root.expand === undefined ? [] : await eachSensor(service, chassis)
  if (together.length > 0) return together
  const older = [...fromThermal(await body(service, chassis.Thermal)), ...fromPower(await body(service, chassis.Power))]
  if (older.length > 0) return older
  const each = await eachSensor(service, chassis)
  return each.length > 0 ? each : await metrics(service, chassis)
}

const body = async (service: Service, to: unknown): Promise<Json> => (await service.look(link(to)))?.body ?? {}
const eachSensor = async (service: Service, chassis: Json): Promise<readonly Sensor[]> => (await service.members(link(chassis.Sensors), most)).flatMap(one => fromSensor(one.body))

/** Of ThermalSubsystem, PowerSubsystem and EnvironmentMetrics, for services that have only those. */
async function metrics (service: Service, chassis: Json): Promise<readonly Sensor[]> {
  const thermal = await body(service, chassis.ThermalSubsystem)
  const power = await body(service, chassis.PowerSubsystem)
  const fans = await service.members(link(thermal.Fans), 64)
  const supplies = await service.members(link(power.PowerSupplies), 16)
  const ofSupplies: Found[] = []
  for (const supply of supplies) {
    const found = await service.look(link(supply.body.Metrics))
    if (found !== undefined) ofSupplies.push({ ...found, body: { ...found.body, Name: text(supply.body.Name) ?? text(supply.body.Id) } })
  }
  return [
    ...fromMetrics(await body(service, chassis.EnvironmentMetrics), text(chassis.Name) ?? 'chassis'),
    ...fromMetrics(await body(service, within(thermal, 'ThermalMetrics')), 'thermal'),
    ...[...fans, ...ofSupplies].flatMap(one => fromMetrics(one.body, text(one.body.Name) ?? text(one.body.Id) ?? 'part'))
  ]
}
