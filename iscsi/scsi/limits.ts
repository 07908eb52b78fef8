/** How much one command may ask for, in bytes; told in VPD page B0 and held to. */
export const limits = {
  /** Of a READ, a WRITE or a VERIFY: what a target holds for one command at most. */
  transfer: 32 << 20,
  optimalTransfer: 1 << 20,
  compareAndWrite: 64 << 10,
  /** What UNMAP frees in one command, and in how many descriptors. */
  unmap: 512 << 20,
  unmapDescriptors: 256,
  granularity: 4096,
  writeSame: 512 << 20
} as const
