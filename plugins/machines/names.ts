/** Names: short ids from letters that are not mistaken for each other, and two-word hostnames. Pure given its source of chance. */
import { randomInt } from 'node:crypto'

const alphabet = '23456789abcdefghkmnpqrstwxyz'
const qualities = `able amber apt bold brave breezy bright brisk calm candid clear clever cosy crisp daring deft eager early easy even fair fast fine firm
fleet fond frank free fresh gentle glad golden good grand great green happy hardy honest jolly keen kind lively lofty loyal lucky lunar mellow merry mild
modest neat nimble noble novel polite prime proud quick quiet rapid ready regal robust rosy royal sharp silver smart smooth snug solar solid sound stable
steady still stout sunny super sure swift tidy tough trusty vivid warm wise witty young`.split(/\s+/)
const things = `acorn alder anchor aspen badger beacon beaver birch bison bridge brook canyon cedar cliff cobra comet coral crane creek cricket dolphin dune eagle
elm ember falcon fern finch fjord forest fox garnet geyser glacier grove gull harbor hare hawk hazel heron hill ibex iris island ivy jaguar jay juniper kestrel
lagoon lake lark laurel linden lion lotus lynx maple marten meadow meteor moose moss newt oak ocean opal orchid osprey otter owl panda pearl pebble pelican
pine planet plover prairie puffin quail quartz raven reef ridge river robin salmon seal sparrow spruce stone stork stream swan thrush tiger trout tulip
valley walnut whale willow wolf wren yew zebra`.split(/\s+/)

export type Chance = (below: number) => number
const pick = (from: readonly string[] | string, chance: Chance): string => from[chance(from.length)] ?? ''

/** Six characters, like `4k7qxd`. */
export const newId = (chance: Chance = randomInt): string => Array.from({ length: 6 }, () => pick(alphabet, chance)).join('')

/** Two words, like `brave-otter`; from the fourth attempt on with a number, for when the good names are taken. */
export const newHostname = (attempt = 0, chance: Chance = randomInt): string => `${pick(qualities, chance)}-${pick(things, chance)}${attempt < 3 ? '' : `-${2 + chance(10 ** Math.min(attempt, 6))}`}`

/** One DNS label in lower case (RFC 1123 section 2.1). */
export const hostnamePattern = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
