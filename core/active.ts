/** The halves that run in this process, as the kernel hands them to the parts that carry their traffic. In start order. */
import type { Manifest, RackRunning, RegionRunning } from './plugin.ts'

export interface ActiveRegion { readonly manifest: Manifest, readonly running: RegionRunning<any, any> }
export interface ActiveRack { readonly manifest: Manifest, readonly running: RackRunning<any, any> }
