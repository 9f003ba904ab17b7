/**
 * Files compressed with zisofs: a header, pointers to the compressed blocks, the blocks. Source: the documents
 * zisofs_format.txt and zisofs2_format.txt of libisofs.
 */
import { E, errno } from '../../../kernel/errno.js';
import type { Errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { inflateZlib } from '../../lib/inflate.js';
import type { IsoMount } from '../volume/isomount.js';
import type { IsoNode } from './node.js';
import { iso_readraw } from './read.js';

const MAGIC_1: readonly number[] = [0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07];
const MAGIC_2: readonly number[] = [0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0];
const HEADER_BYTES = 16;
const ALGORITHM_ZLIB = 1;
/** Of blocks: 32, 64 and 128 KiB. */
const SHIFT_MIN = 15;
const SHIFT_MAX = 17;
/** What a compressed block can have more than its content, and some room: bytes. */
const COMPRESSED_EXTRA = 4096;
const ALGORITHMS: Readonly<Record<string, string>> = { XZ: 'XZ', L4: 'LZ4', ZD: 'Zstandard', B2: 'Bzip2' };

/** How a file is compressed, where its header confirms what its directory record says. */
interface Zisofs {
  readonly pointers: number;
  readonly wide: boolean;
  readonly shift: number;
}

/** By node: read once. */
const headers = new WeakMap<IsoNode, Zisofs>();

function bad(im: IsoMount, node: IsoNode, what: string): Errno {
  return im.damage.error(`file ${node.number}, compressed with zisofs: ${what}`);
}

/** @throws EIO where fewer are recorded */
function raw(im: IsoMount, node: IsoNode, at: number, length: number): MaybePromise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const uio = new Uio(bytes, 0, length, at);
  const check = (): Uint8Array => {
    if (uio.uio_resid > 0) throw bad(im, node, `${length} bytes at ${at} of ${node.recorded}`);
    return bytes;
  };
  const reading = iso_readraw(im, node, uio);
  return reading instanceof Promise ? reading.then(check) : check();
}

/** @throws EIO EOPNOTSUPP */
function header(im: IsoMount, node: IsoNode): MaybePromise<Zisofs> {
  const known = headers.get(node);
  if (known !== undefined) return known;
  const bytes = raw(im, node, 0, HEADER_BYTES);
  return bytes instanceof Promise ? bytes.then((b) => headerOf(im, node, b)) : headerOf(im, node, bytes);
}

function headerOf(im: IsoMount, node: IsoNode, bytes: Uint8Array): Zisofs {
  const field = node.zisofs!;
  const wide = MAGIC_2.every((byte, i) => bytes[i] === byte);
  if (!wide && !MAGIC_1.every((byte, i) => bytes[i] === byte))
    throw bad(im, node, 'its data do not begin as they should');
  if (wide && bytes[10] !== ALGORITHM_ZLIB) {
    const method = ALGORITHMS[field.algorithm] ?? `method ${bytes[10]}`;
    throw errno(E.EOPNOTSUPP, `file ${node.number}: compressed with ${method}; of zisofs only zlib can be read`);
  }
  const size = bytes[wide ? 9 : 12]! * 4;
  const shift = bytes[wide ? 11 : 13]!;
  if (shift < SHIFT_MIN || shift > SHIFT_MAX) throw bad(im, node, `blocks of 2^${shift} bytes`);
  if (size < HEADER_BYTES) throw bad(im, node, `a header of ${size} bytes`);
  const made: Zisofs = { pointers: size, wide, shift };
  headers.set(node, made);
  return made;
}

/** As VOP_READ, below the end of the file. @throws EIO EOPNOTSUPP */
export function zisofs_read(im: IsoMount, node: IsoNode, uio: Uio): MaybePromise<void> {
  if (uio.uio_resid <= 0 || uio.uio_offset >= node.size) return undefined;
  const z = header(im, node);
  return z instanceof Promise ? z.then((h) => readBlocks(im, node, h, uio)) : readBlocks(im, node, z, uio);
}

function readBlocks(im: IsoMount, node: IsoNode, z: Zisofs, uio: Uio): MaybePromise<void> {
  while (uio.uio_resid > 0 && uio.uio_offset < node.size) {
    const block = Math.floor(uio.uio_offset / 2 ** z.shift);
    const content = im.zcache.get(node.number, block) ?? uncompressed(im, node, z, block);
    if (content instanceof Promise) {
      return content.then((c) => {
        copy(node, z, block, c, uio);
        return readBlocks(im, node, z, uio);
      });
    }
    copy(node, z, block, content, uio);
  }
  return undefined;
}

function copy(node: IsoNode, z: Zisofs, block: number, content: Uint8Array, uio: Uio): void {
  const within = uio.uio_offset - block * 2 ** z.shift;
  const bytes = Math.min(uio.uio_resid, content.length - within);
  uio.uio_buf.set(content.subarray(within, within + bytes), uio.uio_bufoff);
  uio.advance(bytes);
}

/** The content of a block, kept for the next time. */
function uncompressed(im: IsoMount, node: IsoNode, z: Zisofs, block: number): MaybePromise<Uint8Array> {
  const width = z.wide ? 8 : 4;
  const pointers = raw(im, node, z.pointers + block * width, 2 * width);
  return pointers instanceof Promise
    ? pointers.then((p) => compressed(im, node, z, block, p))
    : compressed(im, node, z, block, pointers);
}

function pointer(bytes: Uint8Array, at: number, wide: boolean): number {
  const view = new DataView(bytes.buffer);
  return view.getUint32(at, true) + (wide ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
}

function compressed(
  im: IsoMount,
  node: IsoNode,
  z: Zisofs,
  block: number,
  pointers: Uint8Array,
): MaybePromise<Uint8Array> {
  const from = pointer(pointers, 0, z.wide);
  const to = pointer(pointers, pointers.length / 2, z.wide);
  const length = Math.min(2 ** z.shift, node.size - block * 2 ** z.shift);
  if (!(from <= to && to <= node.recorded && to - from <= 2 ** z.shift + COMPRESSED_EXTRA))
    throw bad(im, node, `block ${block} from ${from} to ${to}`);
  // A block of zeros is not recorded.
  if (from === to) return new Uint8Array(length);
  const data = raw(im, node, from, to - from);
  const inflate = (bytes: Uint8Array): Uint8Array => {
    const content = inflateZlib(bytes, length);
    if (content === undefined || content.length !== length) throw bad(im, node, `block ${block} is damaged`);
    im.zcache.put(node.number, block, content);
    return content;
  };
  return data instanceof Promise ? data.then(inflate) : inflate(data);
}
