/** boot's rack half with its iSCSI: a wanted entry becomes a target, and what was read of it a fact. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { targetName } from '../../../../plugins/boot/iscsi/message.ts'
import type { IscsiService } from '../../../../plugins/boot/iscsi/service.ts'
import { header, openInitiator } from '../../../iscsi/initiator.ts'
import { until } from '../../../kit/wait.ts'
import { folder, rackHalf } from '../rig.ts'

it('the root a machine shall run is a target of every rack, and gone when nothing names it any more', async () => {
  const root = Buffer.alloc(8192, 'root')
  const sha256 = createHash('sha256').update(root).digest('hex')
  const disk = await folder({ root })
  const rack = await rackHalf({ has: () => true, path: async () => join(disk.path, 'root') } as Parameters<typeof rackHalf>[0], { loaderDirectory: disk.path })
  const iscsi = rack.running.services.find(({ name }) => name === 'iscsi') as IscsiService
  const file = { sha256, size: root.length }
  const entry = { kind: 'unknown' as const, id: 'amd64', value: { kernel: file, initrd: file, root: file, options: '' } }
  rack.running.apply?.({ put: [entry], remove: [] }, true) // before it is started, as at the start from a rack's own disk
  try {
    await iscsi.start(new AbortController().signal)
    const names = async (): Promise<string> => {
      const initiator = await openInitiator(iscsi.port() ?? 0)
      await initiator.login([['InitiatorName', 'iqn.2030-01.org.example:me'], ['SessionType', 'Discovery']])
      initiator.send(header(0x04, 0x80, { 16: 1, 20: 0xffffffff, 24: 1 }), Buffer.from('SendTargets=All\0'))
      const said = (await initiator.next()).data.toString()
      initiator.close()
      return said
    }
    await until(async () => (await names()).includes(`TargetName=${targetName(sha256)}\0TargetAddress=127.0.0.1:`), { timeout: 5000, what: 'the target to be offered' })
    const initiator = await openInitiator(iscsi.port() ?? 0)
    await initiator.login([['InitiatorName', 'iqn.2030-01.org.example:me'], ['TargetName', targetName(sha256)]])
    expect((await initiator.command('28000000000000001000', { lun: 0, read: 8192 })).data).toEqual(root)
    rack.running.apply?.({ put: [], remove: [{ kind: 'unknown', id: 'amd64' }] }, false)
    await until(async () => !(await names()).includes('TargetName'), { timeout: 5000, what: 'the target to be gone' })
    expect(await initiator.command('000000000000')).toMatchObject({ status: 2, sense: '5 2500' }) // LUN 1, which is none; the session goes on
    initiator.send(header(0x46, 0x80, { 16: 900, 24: initiator.cmdSN }))
    await initiator.ended
    await until(() => rack.reports.length === 2, { timeout: 5000, what: 'two facts' })
    expect(rack.reports).toMatchObject([{ by: 'iscsi', what: `${targetName(sha256)} (login)`, address: '127.0.0.1', bytes: 0 }, { by: 'iscsi', what: targetName(sha256), bytes: 8192, failure: null, retries: 0 }])
  } finally {
    await iscsi.stop()
    await rack.close()
    await disk.remove()
  }
})
