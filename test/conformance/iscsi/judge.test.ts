/** What the suite's output means: a skip is no pass, and the test that is run twice passes only when its second run did what it is about. */
import { describe, expect, it } from 'vitest'
import { reasons, ways } from './reasons.ts'
import { judge, judgeTwice } from './suite.ts'

const summary = (ran: number, failed: number): string => `\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n              suites      1      1    n/a      0        0\n               tests      ${ran}      ${ran}      ${ran - failed}      ${failed}        0\n             asserts     11     11     11      0      n/a\n`
const known = '    1. test_async_lu_reset_simple.c:157  - CU_ASSERT_EQUAL(reconnect_succeeded,1)\n'
const first = `Suite: iSCSITMF\n  Test: LUNResetSimpleAsync ...    WRITE10 queued\nFAILED\n${known}`
const second = 'Suite: iSCSITMF\n  Test: LUNResetSimpleAsync ...    LU RESET queued\n    1 IOs completed, 1 resets successful\npassed\n'

describe('one test', () => {
  it.each([
    ['passes', `  Test: Simple ...passed${summary(1, 0)}`, 'pass', ''],
    ['is skipped, though it counts as passed', `  Test: Simple ...    [SKIPPED] LBPPB < 2. Skipping test\npassed${summary(1, 0)}`, 'skip', 'LBPPB < 2. Skipping test'],
    ['fails', `  Test: Simple ...    [FAILED] READ10 failed\nFAILED\n    1. test_read10_simple.c:40  - CU_ASSERT_EQUAL(ret,0)${summary(1, 1)}`, 'fail', '[FAILED] READ10 failed; 1. test_read10_simple.c:40  - CU_ASSERT_EQUAL(ret,0)'],
    ['is unknown to the suite', `nothing of that name${summary(0, 0)}`, 'error', undefined],
    ['cannot log in', 'Login Failed.\n\nFailed to connect to SCSI device 0', 'error', 'Failed to connect to SCSI device 0'],
    ['crashes the suite', '', 'error', '']
  ])('%s', (_, output, verdict, said) => { expect(judge(output, '')).toMatchObject({ verdict, ...said === undefined ? {} : { said } }) })
})

describe('a test that is run twice', () => {
  it.each([
    ['passes when the first run fails by the known assertion alone and the second resets the unit', `${first}${second}${summary(2, 1)}`, 'pass'],
    ['passes when both do, as of 1.20', `${second}${second}${summary(2, 0)}`, 'pass'],
    ['fails when the second fails', `${first}${first}${summary(2, 2)}`, 'fail'],
    ['fails when the second did nothing', `${first}Suite: iSCSITMF\n  Test: LUNResetSimpleAsync ...passed\n${summary(2, 1)}`, 'fail'],
    ['fails by another assertion', `${first.replace('reconnect_succeeded,1', 'ret,0')}${second}${summary(2, 1)}`, 'fail'],
    ['fails by another assertion besides', `${first}    2. test_async_lu_reset_simple.c:199  - CU_FAIL("unexpected WRITE/RESET state")\n${second}${summary(2, 1)}`, 'fail'],
    ['fails when nobody answers', 'Login Failed.', 'fail']
  ])('%s', (_, output, verdict) => { expect(judgeTwice(output, 'why')).toMatchObject({ verdict }) })
})

it('every reason says something, and no test has two', () => {
  for (const { why } of [...reasons, ...ways]) expect(why.length).toBeGreaterThan(10)
  for (const test of ['Sanitize.Reset', 'WriteSame10.ZeroBlocks', 'PreventAllow.Eject', 'CompareAndWrite.InvalidDataOutSize']) expect(reasons.filter(({ tests }) => tests.test(test)).length, test).toBe(1)
  for (const test of ['Read10.Simple', 'CompareAndWrite.Simple', 'StartStopUnit.NoLoej']) expect(reasons.filter(({ tests }) => tests.test(test)).length, test).toBe(0)
})
