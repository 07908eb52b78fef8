/** Who has a claim on which address, found by address and by client. Pure. */

interface Claim { readonly address: number, readonly client: string }
const nothing: readonly never[] = Object.freeze([])

/** One claim to an address, any number of a client. */
export class Claims<T extends Claim> {
  private readonly byAddress = new Map<number, T>()
  private readonly byClient = new Map<string, readonly T[]>() // nearly always one: an array of it costs a tenth of a set

  at (address: number): T | undefined { return this.byAddress.get(address) }
  of (client: string): readonly T[] { return this.byClient.get(client) ?? nothing }
  has (client: string): boolean { return this.byClient.has(client) }

  /** In place of whatever is claimed at the address. */
  put (claim: T): void {
    const { address, client } = claim
    const known = this.byAddress.get(address)
    if (known !== undefined && known.client !== client) this.leave(known)
    const own = this.byClient.get(client)
    this.byAddress.set(address, claim)
    this.byClient.set(client, own === undefined || (own.length === 1 && own[0] === known) ? [claim] : [...own.filter(one => one.address !== address), claim])
  }

  delete (address: number): void {
    const known = this.byAddress.get(address)
    if (known === undefined) return
    this.byAddress.delete(address)
    this.leave(known)
  }

  clear (): void {
    this.byAddress.clear()
    this.byClient.clear()
  }

  private leave (known: T): void {
    const left = this.of(known.client).filter(one => one !== known)
    if (left.length === 0) this.byClient.delete(known.client)
    else this.byClient.set(known.client, left)
  }
}
