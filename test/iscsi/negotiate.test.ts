import { describe, expect, it } from 'vitest'
import { agree, defaults, settle } from '../../iscsi/negotiate.ts'

const ask = (pairs: [string, string][], more: { discovery?: boolean, settled?: string[], fullFeature?: boolean } = {}) => agree(pairs, { discovery: more.discovery ?? false, settled: new Set(more.settled), fullFeature: more.fullFeature ?? false })
const answer = (key: string, value: string, more?: Parameters<typeof ask>[1]) => ask([[key, value]], more).answers[0]?.[1]

describe('a key is answered', () => {
  it.each([
    ['HeaderDigest', 'CRC32C,None', 'CRC32C'], ['HeaderDigest', 'None,CRC32C', 'None'], ['DataDigest', 'None', 'None'], ['DataDigest', 'MD9', 'Reject'],
    ['MaxConnections', '8', '1'], ['MaxConnections', '0', 'Reject'],
    ['InitialR2T', 'Yes', 'Yes'], ['InitialR2T', 'No', 'No'], ['InitialR2T', 'Maybe', 'Reject'],
    ['ImmediateData', 'Yes', 'Yes'], ['ImmediateData', 'No', 'No'],
    ['MaxBurstLength', '16776192', '1048576'], ['MaxBurstLength', '512', '512'], ['MaxBurstLength', '511', 'Reject'], ['MaxBurstLength', '16777216', 'Reject'],
    ['FirstBurstLength', '65536', '65536'], ['FirstBurstLength', '0x40000', '262144'],
    ['DefaultTime2Wait', '0', '2'], ['DefaultTime2Wait', '30', '30'], ['DefaultTime2Retain', '20', '0'],
    ['MaxOutstandingR2T', '1', '1'], ['MaxOutstandingR2T', '65535', '8'],
    ['DataPDUInOrder', 'No', 'Yes'], ['DataSequenceInOrder', 'No', 'Yes'], ['ErrorRecoveryLevel', '2', '0'], ['ErrorRecoveryLevel', '3', 'Reject'],
    ['TaskReporting', 'FastAbort,ResponseFence,RFC3720', 'RFC3720'], ['iSCSIProtocolLevel', '1', '1'], ['iSCSIProtocolLevel', '31', '2'],
    ['IFMarker', 'Yes', 'No'], ['OFMarker', 'No', 'No'], ['OFMarkInt', '1~65535', 'Reject'],
    ['X-org.example.Speed', 'fast', 'NotUnderstood'], ['toString', '1', 'NotUnderstood'],
    ['MaxRecvDataSegmentLength', '262144', undefined], ['MaxRecvDataSegmentLength', '511', 'Reject']
  ])('%s=%s with %s', (key, value, expected) => { expect(answer(key, value)).toBe(expected) })
  it.each(['MaxConnections', 'InitialR2T', 'ImmediateData', 'MaxBurstLength', 'FirstBurstLength', 'MaxOutstandingR2T'])('%s with Irrelevant in a discovery session', key => { expect(answer(key, '1', { discovery: true })).toBe('Irrelevant') })
  it('with Reject in the full feature phase, but for the length that may be said again', () => {
    expect(answer('MaxBurstLength', '4096', { fullFeature: true })).toBe('Reject')
    expect(ask([['MaxRecvDataSegmentLength', '4096']], { fullFeature: true })).toEqual({ answers: [], change: { sendSegmentLength: 4096 } })
  })
  it('with nothing when it is an answer itself', () => { expect(ask([['HeaderDigest', 'Reject'], ['Other', 'NotUnderstood']]).answers).toEqual([]) })
})

it('a key that is named twice is an error', () => { expect(ask([['InitialR2T', 'Yes'], ['InitialR2T', 'No']]).fault).toBe('InitialR2T is named twice') })
it('the first burst is never longer than a whole one, whichever was said first', () => {
  expect(settle(defaults, ask([['FirstBurstLength', '65536'], ['MaxBurstLength', '4096']]).change)).toMatchObject({ firstBurstLength: 4096, maxBurstLength: 4096 })
})
