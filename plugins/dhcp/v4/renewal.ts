/** When a client is to ask for more of its lease. Pure. */

/**
 * T1 and T2 in seconds: half and seven eighths of the lease (RFC 2131 section 4.4.5), and earlier for leases under 200 s. Until T2 a client asks nobody but the rack that gave the lease; only from then
 * on does every rack of the segment hear it. Clients repeat a request after up to 22.5 s (ISC's dhclient; RFC 2131 says 60), so with a few seconds between T2 and the end a lease ran out although
 * another rack was there to extend it.
 */
export function extensionTimes (seconds: number): { readonly renew: number, readonly rebind: number } {
  const rebind = Math.max(Math.floor(seconds / 2), Math.min(Math.floor(seconds * 7 / 8), seconds - 25))
  return { rebind, renew: Math.min(Math.floor(seconds / 2), Math.floor(rebind * 2 / 3)) }
}
