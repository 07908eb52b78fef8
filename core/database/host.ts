/** A server's address. */

/** A name or address, or the folder of its Unix socket. */
export interface Host { readonly host: string, readonly port: number }

export const nameOf = ({ host, port }: Host): string => host.startsWith('/') ? host : `${host}:${port}`
