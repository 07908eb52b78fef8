/** What becomes of the rack that serves a machine. */
import type { Rack } from './world.ts'

export interface Fault {
  readonly name: string
  readonly title: string
  begin(rack: Rack): Promise<void>
  /** Put back after so many ms, while the deployment goes on; without it the rack stays away. */
  readonly lasts?: number
  end(rack: Rack): Promise<void>
}

export const faults: readonly Fault[] = [
  { name: 'kill', title: 'kill -9', begin: rack => rack.kill(), end: async () => {} },
  { name: 'unplug', title: 'unplugged', begin: rack => rack.unplug(), end: rack => rack.plug() },
  // longer than any of the programs waits for an answer, or the racks for each other
  { name: 'pause', title: 'paused for 90 s', begin: rack => rack.pause(), lasts: 90_000, end: rack => rack.resume() }
]
