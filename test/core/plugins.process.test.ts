/** Every built-in plugin keeps the contract of a plugin, beside all the others. */
import { plugins } from '../../core/plugins.ts'
import { pluginConformance } from '../kit/conformance/plugin.ts'

for (const plugin of plugins) pluginConformance(plugin, { besides: plugins.filter(other => other !== plugin), turns: 20 })
