import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import type { IsoMount } from '../volume/isomount.js';
import type { IsoNode, Section } from './node.js';

/** Largest transfer from the device, bytes. */
const MAXPHYS = 1024 * 1024;

/** The section that holds position `offset`, which is below the end. */
function sectionAt(sections: readonly Section[], offset: number): Section {
  let low = 0;
  let high = sections.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (sections[middle]!.from <= offset) low = middle;
    else high = middle - 1;
  }
  return sections[low]!;
}

/**
 * Reads what is recorded of a file, as it is, up to `recorded`: from the device into the caller's buffer. Stays
 * synchronous as long as the device does. @throws EIO
 */
export function iso_readraw(im: IsoMount, node: IsoNode, uio: Uio): MaybePromise<void> {
  while (uio.uio_resid > 0 && uio.uio_offset < node.recorded) {
    let at: number;
    let bytes = Math.min(uio.uio_resid, MAXPHYS);
    if (node.sections === null) {
      at = node.start + uio.uio_offset;
      bytes = Math.min(bytes, node.recorded - uio.uio_offset);
    } else {
      const section = sectionAt(node.sections, uio.uio_offset);
      const within = uio.uio_offset - section.from;
      bytes = Math.min(bytes, section.size - within);
      at = section.at + within;
      if (section.unit > 0) {
        const piece = Math.floor(within / section.unit);
        const into = within - piece * section.unit;
        at = section.at + piece * section.stride + into;
        bytes = Math.min(bytes, section.unit - into);
      }
    }
    const there = im.dev.size_bytes - at;
    if (!(there > 0)) {
      const end = `the disc, which may have been cut off, ends at ${im.dev.size_bytes}`;
      throw im.damage.error(`file ${node.number}: its data lie at byte ${at}; ${end}`);
    }
    bytes = Math.min(bytes, there);
    const reading = im.dev.read(uio.uio_buf, uio.uio_bufoff, bytes, at);
    if (reading instanceof Promise) {
      return reading.then(() => {
        uio.advance(bytes);
        return iso_readraw(im, node, uio);
      });
    }
    uio.advance(bytes);
  }
  return undefined;
}
