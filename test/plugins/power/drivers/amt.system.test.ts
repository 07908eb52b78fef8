/** The responder that judges amt is itself judged: curl logs in to it by digest, and it does what the messages of Intel's own library say. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CIM } from '@device-management-toolkit/wsman-messages'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { read } from '../../../../plugins/power/drivers/amt/wsman.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { account, startAmt, type AmtMachine } from './amt/machine.ts'

let machine: AmtMachine
beforeEach(async () => { requirePrograms({ curl: 'curl' }); machine = await startAmt() })
afterEach(async () => { await machine.close() })

const post = async (message: string, password = account.password) => {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--noproxy', '*', '--digest', '-u', `${account.user}:${password}`, '-H', 'Content-Type: application/soap+xml;charset=UTF-8', '--data-binary', message, '-w', '\n%{http_code}', `${machine.url}/wsman`])
  const at = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(at + 1)), reply: read(stdout.slice(0, at)) }
}

test('a machine is started from the network, as Intel\'s library asks for it', async () => {
  const { BootConfigSetting, BootService, PowerManagementService } = new CIM.Messages()
  for (const message of [BootConfigSetting.ChangeBootOrder('Intel(r) AMT: Force PXE Boot'), BootService.SetBootConfigRole('Intel(r) AMT: Boot Configuration 0', 1), PowerManagementService.RequestPowerStateChange(2)]) {
    const { status, reply } = await post(message)
    expect(status).toBe(200)
    expect(JSON.stringify(reply)).toContain('"ReturnValue":"0"')
  }
  expect(machine.booted).toEqual(['PXE'])
  expect((await post(PowerManagementService.RequestPowerStateChange(8))).status).toBe(200)
  expect([machine.state, machine.switches]).toEqual(['8', 2])
})

test('without the password nobody is let in', async () => {
  const { PowerManagementService } = new CIM.Messages()
  expect((await post(PowerManagementService.RequestPowerStateChange(2), 'wrong')).status).toBe(401)
  expect(machine.switches).toBe(0)
})
