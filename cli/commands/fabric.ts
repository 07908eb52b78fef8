/** `bedplate fabric`: networks that do not touch each other. */
import { findFabric } from '../names.ts'
import type { Fabric, Vlan } from '../names.ts'
import type { Noun } from '../session.ts'

export const fabricCommands: Noun = (program, on) => {
  const noun = program.command('fabric').description('networks that do not touch each other')

  on(noun.command('list').description('all fabrics'), async ({ client, output }) => {
    const [fabrics, vlans] = [await client.list<Fabric>('/network/fabrics'), await client.list<Vlan>('/network/vlans')]
    output.rows(fabrics, [['ID', fabric => fabric.id], ['NAME', fabric => fabric.name], ['VLANS', fabric => vlans.filter(({ fabricId }) => fabricId === fabric.id).length]], 'No fabrics.')
  })
  on(noun.command('create').description('make a fabric with its untagged VLAN').argument('<name>'), async ({ client, output }, [name]) => {
    const fabric = await client.send<Fabric & { readonly id: string }>('POST', '/network/fabrics', { name })
    output.done(`Fabric ${fabric.name} made, id ${fabric.id}.`, fabric)
  })
  on(noun.command('delete').description('delete a fabric without subnets').argument('<fabric>', 'id or name'), async ({ client, output }, [given = '']) => {
    const fabric = await findFabric(client, given)
    await client.send('DELETE', `/network/fabrics/${fabric.id}`)
    output.done(`Fabric ${fabric.name} deleted.`, fabric)
  })
}
