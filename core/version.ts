/** Which versions of Bedplate may work together: the same major, minors at most one apart. Pure. */

export interface Version { readonly major: number, readonly minor: number, readonly patch: number }

const limit = 128 // characters, as in a hello
const form = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/

/** `major.minor.patch` with an optional pre-release and build, which count for nothing; undefined for anything else. Never throws. */
export function parseVersion (text: string): Version | undefined {
  const [, major, minor, patch] = text.length > limit ? [] : form.exec(text) ?? []
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor), patch: Number(patch) }
}

/** `major.minor` of a version: what has the same one speaks and stores alike. The text itself when it is no version. */
export function lineOf (text: string): string {
  const version = parseVersion(text)
  return version === undefined ? text : `${version.major}.${version.minor}`
}

/** By how many minors `theirs` is ahead of `mine` (negative: behind); undefined when either is no version or the majors differ. */
export function minorsAhead (mine: string, theirs: string): number | undefined {
  const [a, b] = [parseVersion(mine), parseVersion(theirs)]
  return a === undefined || b === undefined || a.major !== b.major ? undefined : b.minor - a.minor
}

/** Whether two controllers of these versions may work side by side. What is no version fits nothing. */
export function compatible (a: string, b: string): boolean {
  const ahead = minorsAhead(a, b)
  return ahead !== undefined && Math.abs(ahead) <= 1
}

/**
 * Why a controller of version `theirs` cannot work with one of version `mine`, and what to do; undefined when it can.
 * The sentence begins in lower case and has no full stop, to be put into another. `them` names the other controller.
 */
export function versionFault (mine: string, theirs: string, them = 'the other controller'): string | undefined {
  if (compatible(mine, theirs)) return undefined
  const both = `this controller runs version ${mine.slice(0, limit)} and ${them} ${theirs.slice(0, limit)}`
  const [a, b] = [parseVersion(mine), parseVersion(theirs)]
  if (a === undefined || b === undefined) return `${both}; "${(a === undefined ? mine : theirs).slice(0, limit)}" is not a version of Bedplate (major.minor.patch)`
  const older = a.major < b.major || (a.major === b.major && a.minor < b.minor) ? 'this controller' : them
  if (a.major !== b.major) return `${both}: different major versions never work together. Upgrade ${older}, one minor version at a time, as its release notes say`
  return `${both}: they may be one minor version apart, no more. Upgrade ${older} to ${a.major}.${Math.max(a.minor, b.minor) - 1} or ${a.major}.${Math.max(a.minor, b.minor)} first`
}
