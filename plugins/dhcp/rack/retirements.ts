/** The claims this rack is asked to forget, and those it was asked to lately: what is from before them counts no more, whatever brings it so late. Pure: time is handed in. */
import { parseIp } from '../v4/ipv4.ts'

const lateFor = 60_000 // ms a retirement is remembered after its end: answers that are under way may name what it ended

export class Retirements {
  private readonly rounds = new Map<string, string>() // address → round
  private readonly ended = new Map<number, { readonly round: number, readonly until: number }>() // in the order they are forgotten

  /** What this rack was asked to forget, and has. */
  all (): { readonly address: string, readonly round: string }[] { return [...this.rounds].map(([address, round]) => ({ address, round })) }

  /** The region asks. Gives the address when it is one of IPv4. */
  begin (id: string, round: string, now: number): number | undefined {
    this.rounds.set(id, round)
    for (const [old, { until }] of this.ended) {
      if (until > now) break
      this.ended.delete(old)
    }
    if (id.includes(':')) return undefined
    const address = parseIp(id)
    this.ended.delete(address)
    this.ended.set(address, { round: Number(round), until: now + lateFor })
    return address
  }

  /** The region asks no more. */
  end (id: string): void { this.rounds.delete(id) }
  clear (): void { this.rounds.clear() }

  /** Whether a binding of this number is from before the retirement of its address. */
  isVoid (address: number, number: string | null): boolean {
    const ended = this.ended.get(address)
    return ended !== undefined && Number(number ?? 0) < ended.round
  }
}
