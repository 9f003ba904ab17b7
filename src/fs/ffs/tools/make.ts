import { bytestrFromPath } from '../../../kernel/bytestr.js';
import type { Make, OptionValues } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import { newfs, unmake, type NewfsFormat, type NewfsVolumeOptions } from './newfs.js';
import { tunefs } from './tunefs.js';

function optionsOf(values: OptionValues): NewfsVolumeOptions {
  const format = values['format'] as string;
  const options = {
    format: format === '2ea' ? format : (Number(format) as NewfsFormat),
    endian: values['byte-order'] === 'be' ? 'big' : 'little',
    blockSize: values['block-size'],
    fragSize: values['frag-size'],
    bytesPerInode: values['inode-density'],
    minfree: values['minfree'],
    label: values['label'] === undefined ? undefined : bytestrFromPath(values['label'] as string),
    log: values['log'],
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as NewfsVolumeOptions;
}

/** newfs by the options of the command line. */
export const ffs_make: Make = async (dev, values, { size_bytes, uid, gid }) => {
  const result = await newfs(dev, {
    ...optionsOf(values),
    uid,
    gid,
    ...(size_bytes === undefined ? {} : { size: size_bytes }),
  });
  const { layout, warnings } = result;
  const { ufs2, littleEndian, fs_size, fs_bsize, fs_fsize, fs_ncg, fs_ipg } = layout;
  return {
    summary:
      `${sizeInWords(fs_size * fs_fsize)} of ${ufs2 ? 'UFS2' : 'UFS1'}, ${littleEndian ? 'little' : 'big'}-endian, ` +
      `blocks of ${fs_bsize}, fragments of ${fs_fsize}, ${fs_ncg} groups of ${fs_ipg} inodes`,
    warnings,
    unmake: () => unmake(dev, result),
    filled: async () => void (await tunefs(dev, { lastmount: '' })),
  };
};
