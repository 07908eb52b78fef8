/** Commits that PostgreSQL reports as done though no standby has confirmed them: it says so in a warning only. */
import type { ClientBase } from 'pg'

export const cutShort = 'it was written, but the wait for the synchronous standby was cut short, so a failover may lose it'

const warned = new WeakSet<ClientBase>()

/**
 * Hears what `client` is warned of. When a commit's wait for the synchronous standby is cancelled, the commit is local only, and yet reported as done; the
 * warning is known by the server's routine, since its text is translated.
 */
export function heedWarnings (client: ClientBase): void {
  client.on('notice', ({ routine }) => { if (routine === 'SyncRepWaitForLSN') warned.add(client) })
}

/** True when the last commit of `client` was cut short. Asked once: then it is forgotten. */
export const unreplicated = (client: ClientBase): boolean => warned.delete(client)
