/** Tests of iscsi-test-cu that are not run to their end, and why not; and those that are run in a way of their own. Patterns are of whole names, without `ALL.`. */

/** A skip without a reason here is a failure of the run. `said`: what the suite gives as its reason must have this in it. */
export const reasons: readonly { readonly tests: RegExp, readonly said: string, readonly why: string }[] = [
  { tests: /^PreventAllow\..+$/, said: 'not removable', why: 'PREVENT ALLOW MEDIUM REMOVAL is of removable media; a disk here is fixed' },
  { tests: /^StartStopUnit\.Simple$/, said: 'not removable', why: 'ejects the medium; a disk here is fixed' },
  { tests: /^Sanitize\..+$/, said: '--allow-sanitize', why: 'SANITIZE destroys a whole medium for good and is not offered; the suite runs it only when it is told to' },
  { tests: /^WriteAtomic16\..+$/, said: 'not implemented', why: 'WRITE ATOMIC (16) is of SBC-4; this target says SBC-3, and no initiator here sends it' },
  { tests: /^WriteSame1[06]\.ZeroBlocks$/, said: 'does not support 0-blocks', why: 'WSNZ is set: a count of 0 is refused, which would stand for everything up to the end' },
  { tests: /^(?:WriteSame1[06]|CompareAndWrite)\.(?:InvalidDataOutSize|UnmapUnaligned)$/, said: 'LBPPB < 2', why: 'wants physical blocks larger than logical ones; this target has both alike' }
]

/**
 * `readOnly`: against a unit that cannot be written, which is what the test is about. `paths`: over two portals.
 * `twice`: the suite of 1.19 asserts a variable (reconnect_succeeded in test_async_lu_reset_simple.c, line 157) that nothing but the answer to the reset can set, and asserts it before the reset is even
 * sent, so that its first run in a process fails against every target; 1.20 moved the assertion. In the second run of one process the variable is set, and everything else is asserted as meant.
 * (With its family it counts as passed without having run: the test before it leaves no connection.)
 */
export const ways: readonly { readonly tests: RegExp, readonly way: 'readOnly' | 'paths' | 'twice', readonly why: string }[] = [
  { tests: /^ReadOnly\.ReadOnlySBC$/, way: 'readOnly', why: 'run against the read-only unit' },
  { tests: /^MultipathIO\..+$/, way: 'paths', why: 'run over two portals' },
  { tests: /^iSCSITMF\.LUNResetSimpleAsync$/, way: 'twice', why: 'run twice in one process; the first asserts a variable before anything can have set it (mended in 1.20)' }
]

/** What Debian's tgt does with 1.19, for comparison: 159 pass, 62 skip, 9 fail of 230. Ours is to pass at least so many. */
export const leastPassed = 190
