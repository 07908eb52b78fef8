/** provision keeps the contract of plugins. */
import provision from '../../../plugins/provision/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'

pluginConformance(provision)
