/** A part of the public suite against `bedplate iscsi serve`: one test of each family, and all that are about iSCSI itself. The whole: npm run conformance -- iscsi. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensurePackages } from '../../lab/packages.ts'
import { listTests, runTest } from './suite.ts'
import { startTarget } from './target.ts'
import type { Target } from './target.ts'

const chosen = [
  'CompareAndWrite.Simple', 'CompareAndWrite.Miscompare', 'ExtendedCopy.Simple', 'GetLBAStatus.Simple', 'Inquiry.BlockLimits', 'Inquiry.MandatoryVPDSBC', 'Mandatory.MandatorySBC', 'ModeSense6.AllPages', 'OrWrite.Simple', 'Prefetch10.Simple', 'PrinReadKeys.Simple',
  'PrinReportCapabilities.Simple', 'ProutRegister.Simple', 'ProutReserve.OwnershipEA', 'ProutReserve.AccessEA', 'ProutPreempt.RemoveRegistration', 'Read6.Simple', 'Read10.Simple', 'Read10.BeyondEol', 'Read12.Simple', 'Read16.Simple', 'ReadCapacity10.Simple',
  'ReadCapacity16.Simple', 'ReadOnly.ReadOnlySBC', 'ReportSupportedOpcodes.Simple', 'Reserve6.Simple', 'TestUnitReady.Simple', 'Unmap.Simple', 'Verify10.Mismatch', 'Write10.Simple', 'Write10.WriteProtect', 'Write16.BeyondEol', 'WriteSame10.Simple', 'WriteSame16.Unmap',
  'WriteVerify10.Simple', 'iSCSIcmdsn.iSCSICmdSnTooHigh', 'iSCSIdatasn.iSCSIDataSnInvalid', 'iSCSIResiduals.Read10Invalid', 'iSCSIResiduals.Read10Residuals', 'iSCSIResiduals.Write10Residuals', 'iSCSITMF.AbortTaskSimpleAsync', 'iSCSITMF.LUNResetSimpleAsync', 'MultipathIO.Simple', 'MultipathIO.Reset'
]

describe('iscsi-test-cu', () => {
  let target: Target
  beforeAll(async () => {
    await ensurePackages(['libiscsi-bin'], line => { process.stderr.write(`${line}\n`) })
    target = await startTarget()
  })
  afterAll(() => target.end())

  it('has these tests', async () => {
    const all = await listTests()
    expect(all.length).toBeGreaterThanOrEqual(230)
    expect(chosen.filter(test => !all.includes(test))).toEqual([])
  })
  it.each(chosen)('%s', async test => {
    const { verdict, said } = await runTest(test, target.urls)
    expect({ verdict, said: verdict === 'pass' ? '' : said, target: target.fate }).toEqual({ verdict: 'pass', said: '', target: undefined })
  })
})
