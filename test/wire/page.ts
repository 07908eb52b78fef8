/** The generated section of docs/dhcp-availability.md: the measured table with what stands around it. Pure. */
export const document = new URL('../../docs/dhcp-availability.md', import.meta.url)
const [first, last] = ['<!-- written by npm run wire -- --write -->', '<!-- end of what npm run wire wrote -->']

const section = (table: string): string => `${first}
## Measured: clients and faults on the wire

\`npm run wire -- --write\` (root) builds two regions, two racks and a PostgreSQL server, each in a network namespace of its own, and plugs Debian's clients and two virtual machines into the segment both racks serve.
Leases last 30 s, so that each runs out within a fault (42 s at least) unless it is extended. Clients keep their own timing; a new one of each kind is started the moment something broke.

A cell: whether a client that had its lease before kept its address throughout (else the longest time without one, from the kernel's notices) · from the start of a new client to its ACK on the wire.
Firmware keeps no lease: from its first DISCOVER to its ACK (in brackets: from power-on, under emulation).
Checked throughout: no address was acknowledged to two clients at once or stood on two interfaces; while a fault stands, what was acknowledged lies in the database or in a rack's journal; after it, all of it is in PostgreSQL.

${table}

What the longer times are made of: the next rack answers a client's second DISCOVER, which each sends when it likes (iPXE after 1 s, the others after 3 to 6). UEFI gathers offers through a whole round, 4 s the first and
8 s the second. A rack that was cut off this very moment still offers from its online block, finds after a second that no region answers, and refuses: dhclient does not hear a refusal while it has no lease, and goes back
to DISCOVER by itself after 10 to 30 s.
${last}`

/** The document with the section in it: in its old place, else at the end. */
export function written (text: string, table: string): string {
  const [from, to] = [text.indexOf(first), text.indexOf(last)]
  return from === -1 || to < from ? `${text.trimEnd()}\n\n${section(table)}\n` : `${text.slice(0, from)}${section(table)}${text.slice(to + last.length)}`
}
