import { E, errno } from '../../../kernel/errno.js';
import { charset } from '../../lib/names/charset.js';
import { utf16FromBytestr } from '../../lib/names/utf16.js';

/** Volume labels: 11 bytes, upper case. */
export const NO_LABEL = 'NO NAME    ';
const LABEL_BYTES = 11;
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const FORBIDDEN = /[\x00-\x1f"*+,./:;<=>?[\\\]|]/;
const OEM = charset('437')!;

/** A label as the disk has it. `label`: a byte string, UTF-8. @throws EINVAL */
export function encodeLabel(label: string): string {
  const units = utf16FromBytestr(label);
  const upper = units?.toUpperCase() ?? '';
  if (upper === '' || FORBIDDEN.test(upper) || upper.startsWith(' ')) {
    throw errno(
      E.EINVAL,
      'a label is 1 to 11 characters, none of " * + , . / : ; < = > ? [ \\ ] |, and does not begin with a blank',
    );
  }
  // Other systems disagree about the code page of labels, and checkers take what is not ASCII for damage.
  // eslint-disable-next-line no-control-regex -- the ASCII test is the point
  if (!/^[\x00-\x7f]*$/.test(upper)) throw errno(E.EINVAL, 'a label is ASCII');
  if (upper.length > LABEL_BYTES) throw errno(E.EINVAL, `a label has at most ${LABEL_BYTES} characters`);
  return upper.padEnd(LABEL_BYTES, ' ');
}

/** A label from the disk, as Unicode; '' for none. */
export function decodeLabel(bytes: string): string {
  if (bytes === NO_LABEL) return '';
  const first = bytes.charCodeAt(0) === 5 ? `\xe5${bytes.slice(1)}` : bytes;
  return OEM.decode(first.replace(/[\0 ]+$/, ''));
}
