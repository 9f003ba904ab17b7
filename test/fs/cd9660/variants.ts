import { readFileSync, rmSync } from 'node:fs';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import type { Variant } from '../../../testing/variants/variant.js';
import { run } from './support.js';

/** A disc of a folder, by somebody else's program. */
function disc(program: string, args: readonly string[]): (folder: string) => Promise<MemoryDevice> {
  return (folder) => {
    const image = `${folder}.iso`;
    run(program, [...args, '-o', image, folder]);
    const content = readFileSync(image);
    rmSync(image);
    return Promise.resolve(new MemoryDevice({ content, sector_bytes: 2048, readonly: true }));
  };
}

const FEATURES: Variant['features'] = [
  'hardlinks', 'symlinks', 'owners', 'modes', 'filehandles', 'processes', 'linkcounts', 'readonly', 'remount',
];

/** Discs are only read: the cases for that, in the kernel and through a mount. */
export const variants: readonly Variant[] = [
  {
    name: 'iso-rock-ridge', type: 'cd9660', features: FEATURES, harnesses: ['matrix', 'mount'],
    master: disc('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-J', '--hardlinks']),
  },
  {
    name: 'iso-genisoimage', type: 'cd9660', features: FEATURES, harnesses: ['matrix'],
    master: disc('genisoimage', ['-quiet', '-R', '-cache-inodes']),
  },
];
