import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { UNIX_FEATURES } from '../../../testing/variants/variant.js';
import type { Variant } from '../../../testing/variants/variant.js';
import { e2fsck, run, withFolder } from './volumes.js';

const EXPECTED = {
  'flags: nodump, immutable, append': 'immutable and append-only are the superuser\'s flags alone',
  'flags: immutable and append-only directories': 'as above',
};

/** What mke2fs makes, by its arguments and size. */
const made = new Map<string, Uint8Array>();
/** Every so many volumes e2fsck looks, too: a process each time. */
const STRANGER = 12;
let volumes = 0;

/** A volume made by mke2fs; e2fsck judges what becomes of it. */
function ext(name: string, args: readonly string[], more: Pick<Variant, 'harnesses'> & Partial<Variant>): Variant {
  const disk = async (size_bytes: number): Promise<MemoryDevice> => {
    const key = `${args.join(' ')} ${size_bytes}`;
    const content = made.get(key) ?? (await make(size_bytes));
    made.set(key, content);
    return new MemoryDevice({ content: content.slice() });
  };
  const make = (size_bytes: number): Promise<Uint8Array> =>
    withFolder((folder) => {
      const path = join(folder, 'volume');
      const fd = openSync(path, 'w');
      ftruncateSync(fd, size_bytes);
      closeSync(fd);
      run('mke2fs', ['-q', '-F', '-E', 'root_owner=0:0', ...args, path]);
      run('debugfs', ['-w', '-R', 'rmdir lost+found', path]);
      return readFileSync(path);
    });
  const stranger = async (dev: MemoryDevice): Promise<string | undefined> => {
    if (volumes++ % STRANGER !== 0) return undefined;
    const said = await e2fsck(dev);
    return said === '' ? undefined : said;
  };
  return { name, type: 'ext2fs', disk, features: UNIX_FEATURES, expected: EXPECTED, stranger, ...more };
}

const LOG = { promise: 'log', size_bytes: 9 * 2 ** 20 } as const;
const ORDERED = { promise: 'ordered', size_bytes: 5 * 2 ** 20 } as const;

/** Volumes whose power is cut (powercut.test.ts). */
export const cut: readonly Variant[] = [
  ext('ext4-cut', ['-t', 'ext4', '-b', '1024', '-J', 'size=1'], { harnesses: [], powercut: LOG }),
  ext('ext3-cut', ['-t', 'ext3', '-b', '1024', '-J', 'size=1'], { harnesses: [], powercut: LOG }),
  ext('ext4-4k-cut', ['-t', 'ext4', '-b', '4096', '-J', 'size=4'], { harnesses: [], powercut: LOG }),
  ext('ext2-cut', ['-t', 'ext2', '-b', '1024'], { harnesses: [], powercut: ORDERED }),
  ext('ext4-nojournal-cut', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal'], { harnesses: [], powercut: ORDERED }),
];

export const variants: readonly Variant[] = [
  ext('ext4', ['-t', 'ext4', '-b', '4096'], {
    harnesses: ['matrix', 'model', 'fsx', 'faults'], features: [...UNIX_FEATURES, 'xattr'],
  }),
  ext('ext4-survive', ['-t', 'ext4'], { harnesses: ['survive'], survive: { newfs: ['-t', 'ext4'] } }),
  ext('ext4-1k', ['-t', 'ext4', '-b', '1024'], { harnesses: ['model', 'fsx'] }),
  ext('ext3', ['-t', 'ext3', '-b', '1024'], { harnesses: ['model', 'fsx'] }),
  ext('ext2', ['-t', 'ext2', '-b', '1024'], { harnesses: ['matrix', 'model', 'fsx', 'faults'] }),
];
