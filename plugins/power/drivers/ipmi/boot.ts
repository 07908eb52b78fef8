/** The device of the next start alone, in the order ipmitool sets it: BMCs were made to work with that. */
import { acknowledgeBios, bootDevice, bootParameter, encodeAcknowledge, encodeBootFlags, progress, setBootOption } from '../../../../ipmi/commands/boot.ts'
import { isLacking } from '../../../../ipmi/completion.ts'
import { IpmiError } from '../../../../ipmi/error.ts'
import type { Bmc } from './connection.ts'

const alreadyWriting = 0x81 // of Set System Boot Options, 28.12

/** `efi`: the firmware starts by UEFI; without it some BMCs make it start as a BIOS. */
export async function bootOnce ({ ask }: Bmc, device: 'network' | 'disk', efi: boolean): Promise<void> {
  const set = (parameter: number, data: Buffer): Promise<void> => ask(setBootOption, { parameter, data })
  /** Parameters a BMC may do without: whether it has this one. */
  const may = (parameter: number, data: Buffer): Promise<boolean> => set(parameter, data).then(() => true, (error: unknown) => {
    if (isLacking(error)) return false
    throw error
  })
  const announce = (): Promise<boolean> => may(bootParameter.progress, Buffer.of(progress.writing))
  const announced = await announce().catch(async (error: unknown) => {
    if (!(error instanceof IpmiError && error.code === alreadyWriting)) throw error
    await may(bootParameter.progress, Buffer.of(progress.complete)) // whoever left it so died: one at a time is at this machine
    return await announce()
  })
  try {
    await may(bootParameter.acknowledge, encodeAcknowledge(acknowledgeBios, acknowledgeBios))
    await set(bootParameter.flags, encodeBootFlags({ valid: true, persistent: false, efi, device: bootDevice[device] }))
    if (announced) await may(bootParameter.progress, Buffer.of(progress.commit))
  } finally {
    if (announced) await may(bootParameter.progress, Buffer.of(progress.complete))
  }
}
