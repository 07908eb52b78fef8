/** Chassis: what it measures, in the old form (Thermal, Power) and the new (ThermalSubsystem, Sensors). */
import { readingOf, sensors, type Sensor } from '../hardware.ts'
import type { Model } from '../model.ts'
import { link, members, root, type Json, type Resource } from './answer.ts'

export function chassisResources ({ profile, systems }: Model): Map<string, Resource> {
  const [{ machine }] = systems
  const path = `${root}/Chassis/${profile.ids.chassis}`
  const has = (part: 'Thermal' | 'Power' | 'ThermalSubsystem' | 'Sensors') => !profile.without.includes(part)
  const reading = (sensor: Sensor): number | null => readingOf(sensor, machine.state())
  const of = (kind: Sensor['kind']): readonly Sensor[] => sensors.filter(sensor => sensor.kind === kind)
  const status = (sensor: Sensor): Json => reading(sensor) === null ? { State: 'UnavailableOffline' } : { State: 'Enabled', Health: 'OK' }
  const limits = ({ kind, warning, critical }: Sensor): Json => kind === 'fan' ? { LowerThresholdNonCritical: warning, LowerThresholdCritical: critical } : { UpperThresholdNonCritical: warning, UpperThresholdCritical: critical }
  const idOf = ({ name }: Sensor): string => name.replaceAll(' ', '')

  const resources = new Map<string, Resource>([[path, {
    get: () => ({
      '@odata.type': '#Chassis.v1_15_0.Chassis', Id: profile.ids.chassis, Name: 'Chassis', ChassisType: 'RackMount', Manufacturer: profile.vendor, Model: profile.model, SerialNumber: machine.hardware.serial, PartNumber: 'BP-1', IndicatorLED: 'Off',
      PowerState: machine.state() === 'on' ? 'On' : 'Off', Status: { State: 'Enabled', Health: 'OK' },
      ...Object.fromEntries((['Thermal', 'Power', 'ThermalSubsystem', 'Sensors'] as const).filter(has).map(part => [part, link(`${path}/${part}`)])),
      Links: { ComputerSystems: systems.map(({ id }) => link(`${root}/Systems/${id}`)), ManagedBy: [link(`${root}/Managers/${profile.ids.manager}`)] }
    })
  }]])
  if (has('Thermal')) {
    resources.set(`${path}/Thermal`, {
      get: () => ({
        '@odata.type': '#Thermal.v1_6_2.Thermal', Id: 'Thermal', Name: 'Thermal',
        Temperatures: of('temperature').map((sensor, index) => ({ '@odata.id': `${path}/Thermal#/Temperatures/${index}`, MemberId: String(index), SensorNumber: sensor.number, Name: sensor.name, ReadingCelsius: reading(sensor), Status: status(sensor), ...limits(sensor), PhysicalContext: sensor.name.startsWith('CPU') ? 'CPU' : 'Intake' })),
        Fans: of('fan').map((sensor, index) => ({ '@odata.id': `${path}/Thermal#/Fans/${index}`, MemberId: String(index), SensorNumber: sensor.number, Name: sensor.name, Reading: reading(sensor), ReadingUnits: 'RPM', Status: status(sensor), ...limits(sensor) }))
      })
    })
  }
  if (has('Power')) {
    resources.set(`${path}/Power`, {
      get: () => ({
        '@odata.type': '#Power.v1_6_1.Power', Id: 'Power', Name: 'Power',
        PowerControl: of('power').map(sensor => ({ '@odata.id': `${path}/Power#/PowerControl/0`, MemberId: '0', Name: sensor.name, PowerConsumedWatts: reading(sensor), PowerCapacityWatts: 750, Status: status(sensor) })),
        Voltages: of('voltage').map(sensor => ({ '@odata.id': `${path}/Power#/Voltages/0`, MemberId: '0', SensorNumber: sensor.number, Name: sensor.name, ReadingVolts: reading(sensor), Status: status(sensor) })),
        PowerSupplies: [{ '@odata.id': `${path}/Power#/PowerSupplies/0`, MemberId: '0', Name: 'PSU1', Status: { State: 'Enabled', Health: 'OK' }, PowerSupplyType: 'AC', LineInputVoltage: 230, PowerCapacityWatts: 750, FirmwareVersion: '00.1B', Manufacturer: profile.vendor, SerialNumber: 'PSU1' }]
      })
    })
  }
  if (has('ThermalSubsystem')) {
    const thermal = `${path}/ThermalSubsystem`
    resources.set(thermal, { get: () => ({ '@odata.type': '#ThermalSubsystem.v1_0_0.ThermalSubsystem', Id: 'ThermalSubsystem', Name: 'Thermal Subsystem', Status: { State: 'Enabled', Health: 'OK' }, Fans: link(`${thermal}/Fans`), ThermalMetrics: link(`${thermal}/ThermalMetrics`) }) })
    resources.set(`${thermal}/Fans`, { get: () => ({ '@odata.type': '#FanCollection.FanCollection', Name: 'Fans', ...members(of('fan').map(sensor => `${thermal}/Fans/${idOf(sensor)}`)) }) })
    for (const sensor of of('fan')) resources.set(`${thermal}/Fans/${idOf(sensor)}`, { get: () => ({ '@odata.type': '#Fan.v1_3_0.Fan', Id: idOf(sensor), Name: sensor.name, Status: status(sensor), SpeedPercent: { ...has('Sensors') ? { DataSourceUri: `${path}/Sensors/${idOf(sensor)}` } : {}, Reading: reading(sensor) === null ? null : Math.round((reading(sensor) ?? 0) / 120), SpeedRPM: reading(sensor) } }) })
    resources.set(`${thermal}/ThermalMetrics`, { get: () => ({ '@odata.type': '#ThermalMetrics.v1_0_0.ThermalMetrics', Id: 'ThermalMetrics', Name: 'Thermal Metrics', TemperatureReadingsCelsius: of('temperature').map(sensor => ({ DeviceName: sensor.name, Reading: reading(sensor), ...has('Sensors') ? { DataSourceUri: `${path}/Sensors/${idOf(sensor)}` } : {} })) }) })
  }
  if (has('Sensors')) {
    const kinds = { temperature: 'Temperature', fan: 'Rotational', voltage: 'Voltage', power: 'Power' } as const
    resources.set(`${path}/Sensors`, { get: () => ({ '@odata.type': '#SensorCollection.SensorCollection', Name: 'Sensors', ...members(sensors.map(sensor => `${path}/Sensors/${idOf(sensor)}`)) }) })
    for (const sensor of sensors) {
      const [warning, critical] = sensor.kind === 'fan' ? ['LowerCaution', 'LowerCritical'] : ['UpperCaution', 'UpperCritical']
      resources.set(`${path}/Sensors/${idOf(sensor)}`, { get: () => ({ '@odata.type': '#Sensor.v1_2_0.Sensor', Id: idOf(sensor), Name: sensor.name, ReadingType: kinds[sensor.kind], ReadingUnits: sensor.unit === 'RPM' ? '{rev}/min' : sensor.unit, Reading: reading(sensor), Status: status(sensor), ...sensor.critical === undefined ? {} : { Thresholds: { [warning ?? '']: { Reading: sensor.warning }, [critical ?? '']: { Reading: sensor.critical } } } }) })
    }
  }
  return resources
}
