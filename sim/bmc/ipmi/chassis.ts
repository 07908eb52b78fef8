/** Commands of the chassis: power and boot options. */
import { completion } from '../../../ipmi/completion.ts'
import { getBootOption, setBootOption } from '../../../ipmi/commands/boot.ts'
import { chassisControl, chassisIdentify, control, getChassisStatus } from '../../../ipmi/commands/chassis.ts'
import { losesAnswer, type Action } from '../model.ts'
import { netFn } from '../../../ipmi/message.ts'
import { answering, plain, refused, told, type Handler } from './command.ts'

const actions: Readonly<Record<number, Action | undefined>> = { [control.off]: 'off', [control.on]: 'on', [control.cycle]: 'cycle', [control.reset]: 'reset', [control.shutdown]: 'shutdown' }
const bootBusy = 0x81
const bootUnknown = 0x80

export const chassisCommands: readonly Handler[] = [
  plain('Get Chassis Capabilities', netFn.chassis, 0x00, 'user', () => told(Buffer.of(0, 0x20, 0x20, 0x20, 0x20))),
  answering(getChassisStatus, 'user', (_, { model: { systems: [system] } }) => {
    const state = system.power()
    if (state === undefined) return refused(completion.notInThisState)
    return { on: state === 'on' || state === 'turning off', overload: false, interlock: false, fault: false, controlFault: false, policy: 'off', lastEvent: 0, misc: 0x40 } // the identify light can be asked for
  }),
  {
    ...answering(chassisControl, 'operator', (wanted, { model, boot }) => {
      const [system] = model.systems
      const action = actions[wanted]
      if (action === undefined) return wanted === control.diagnostic ? undefined : refused(completion.invalidField)
      // section 28.3: neither is anything for a machine that is off
      if ((action === 'cycle' || action === 'reset') && system.machine.state() === 'off') return refused(completion.notInThisState)
      boot.controlled()
      system.act(action)
      return losesAnswer(model.faults) ? { code: 0, data: Buffer.alloc(0), lost: true } : undefined
    })
  },
  answering(chassisIdentify, 'operator', () => undefined),
  plain('Set Power Restore Policy', netFn.chassis, 0x06, 'operator', () => told(Buffer.of(0x07))),
  plain('Get System Restart Cause', netFn.chassis, 0x07, 'user', () => told(Buffer.of(0x01, 0x01))),
  answering(setBootOption, 'operator', ({ parameter, data }, { boot }) => {
    if (data.length === 0) return undefined // only its validity
    const result = boot.set(parameter, data)
    return result === 'ok' ? undefined : refused(result === 'busy' ? bootBusy : bootUnknown)
  }),
  answering(getBootOption, 'operator', ({ parameter }, { boot }) => {
    const data = boot.get(parameter)
    return data === undefined ? refused(bootUnknown) : { parameter, invalid: false, data }
  }),
  plain('Get POH Counter', netFn.chassis, 0x0f, 'user', ({}, { model }) => { const bytes = Buffer.alloc(5); bytes[0] = 60; bytes.writeUInt32LE(Math.floor(Date.now() / 1000 - model.started) / 3600 >>> 0, 1); return told(bytes) })
]
