/** `bedplate image build|import|list|show|delete`: what is booted and installed. */
import { Option } from 'commander'
import type { Flavour } from '../../plugins/images/build/packages.ts'
import { buildImage } from '../build.ts'
import { controllerNames } from '../names.ts'
import type { Noun } from '../session.ts'
import { bytes } from '../output.ts'
import { importImage } from '../import.ts'
import type { Image } from '../import.ts'

const sizeOf = (image: Image): number => image.kernel.size + image.initrd.size + image.root.size

export const imageCommands: Noun = (program, on) => {
  const noun = program.command('image').description('what is booted and installed')

  on(noun.command('import').description('bring in a kernel, initrd and root file system').argument('<path>', 'a folder or .tar, .tar.gz, .tar.zst with image.json'), async (session, [path = '']) => {
    const image = await importImage(session, path)
    session.output.done(`Image ${image.name} is imported, id ${image.id}.`, image)
  })
  on<{ flavour: Flavour, directory?: string, import?: boolean }>(noun.command('build').description('make an image from the packages of a distribution, on this host; takes root and a minute or two').argument('[system]', 'debian (the release of this host), debian-12 or debian-13', 'debian')
    .addOption(new Option('--flavour <flavour>', 'cloud: for virtual machines, small; metal: every driver').choices(['cloud', 'metal']).default('metal')).option('--directory <folder>', 'where it is built and kept; by default a cache').option('--import', 'import it at once'), async (session, [system = 'debian'], { flavour, directory, import: also }) => {
    if (also === true) await session.client.get('/images?limit=1') // a build is too long to find out afterwards that nobody takes it
    const folder = await buildImage(session, system, { flavour, ...directory === undefined ? {} : { directory } })
    if (also !== true) return session.output.done(`The image is in ${folder}. Bring it in: bedplate image import ${folder}`, { folder })
    const image = await importImage(session, folder)
    session.output.done(`Image ${image.name} is imported, id ${image.id}.`, image)
  })
  on(noun.command('list').description('all images'), async ({ client, output }) => {
    output.rows(await client.list<Image>('/images'), [['ID', image => image.id], ['NAME', image => image.name], ['TITLE', image => image.title], ['ARCH', image => image.architecture], ['SIZE', image => bytes(sizeOf(image))], ['CREATED', image => image.createdAt], ['RACKS', image => image.racks.length]], 'No images. Make one: bedplate image build --import; or bring one: bedplate image import <folder or archive>')
  })
  on(noun.command('show').description('one image').argument('<image>', 'id or name'), async ({ client, output }, [given = '']) => {
    const [image, nameOf] = [await client.get<Image & { readonly id: string }>(`/images/${encodeURIComponent(given)}`), await controllerNames(client)]
    output.item(image, [['ID', () => image.id], ['Name', () => image.name], ['Title', () => image.title], ['Architecture', () => image.architecture], ['User', () => image.user], ['Kernel options', () => image.kernelOptions], ['Root by', () => image.way], ['Templates', () => Object.keys(image.templates ?? {})], ['Created', () => image.createdAt], ['Racks', () => image.racks.map(nameOf)],
      ...(['kernel', 'initrd', 'root'] as const).map(part => [part, () => `${image[part].sha256} ${bytes(image[part].size)}`] as const)])
  })
  on(noun.command('delete').description('delete an image').argument('<image>', 'id or name: its newest'), async ({ client, output }, [given = '']) => {
    const image = await client.get<Image & { readonly id: string }>(`/images/${encodeURIComponent(given)}`)
    await client.send('DELETE', `/images/${image.id}`)
    output.done(`Image ${image.name} (${image.id}) is deleted.`, image)
  })
}
