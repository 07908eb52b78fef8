/** What an area of the bench brings: its packages, the place it measures in, and its cases. */
import type { Better, Run } from './figures.ts'

export interface Case<Place> {
  readonly name: string
  readonly peerName: string
  readonly unit: string
  readonly better: Better
  /** The least ratio; null: for information. */
  readonly required: number | null
  /** One sentence: what is pinned where, and what each side keeps before it answers. */
  readonly conditions: string
  /** Starts what it measures, and warms it up. */
  prepare(place: Place): Promise<Prepared>
}
export interface Prepared {
  ours(round: number): Promise<Run>
  /** The peer, measured in turn with ours; or a limit, that which ours is held against. */
  readonly peer: ((round: number) => Promise<Run>) | number
  /** Ends what only this case needs. */
  end(): Promise<void>
}
export interface Area<Place> {
  readonly name: string
  readonly packages: readonly string[]
  readonly cases: readonly Case<Place>[]
  open(say: (line: string) => void): Promise<Place>
  close(place: Place): Promise<void>
  /** Versions of what took part, for the page. */
  versions(): Promise<readonly string[]>
}
