/** Privilege levels: IPMI 2.0 section 6.8. Power control needs `operator`. */
export const privilege = { callback: 1, user: 2, operator: 3, administrator: 4, oem: 5 } as const
export type Privilege = keyof typeof privilege
