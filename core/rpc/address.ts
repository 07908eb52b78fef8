/** The addresses a region tells others: with or without a port, IPv6 bracketed in URLs. Pure. */
const withPort = /^(\[[^\]]+\]|[^:]+):\d+$/

/** The address of a region's port as a URL; IPv6 addresses are bracketed. */
export const urlOf = (address: string, port: number): string => `wss://${withPort.test(address) ? address : `${bracketed(address)}:${port}`}`
export const withoutPort = (address: string): string => address.replace(withPort, '$1')
export const bracketed = (address: string): string => address.includes(':') && !address.startsWith('[') ? `[${address}]` : address
/** Whether listening there is listening at every address. */
export const anywhere = (host: string): boolean => ['0.0.0.0', '::', ''].includes(host)
