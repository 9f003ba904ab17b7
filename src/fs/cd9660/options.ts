/**
 * The options of a mount, as data: --help and the manual page come from here. Names and meanings are those of Linux's
 * isofs.
 */
import type { FormatOption } from '../format.js';

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  { name: 'norock', kind: 'flag', describe: 'ignore Rock Ridge' },
  { name: 'nojoliet', kind: 'flag', describe: 'ignore Joliet' },
  { name: 'rock', kind: 'flag', describe: 'use Rock Ridge, where it is (the default)' },
  { name: 'joliet', kind: 'flag', describe: 'use Joliet, where there is no Rock Ridge (the default)' },
  {
    name: 'map',
    kind: 'text',
    choices: ['normal', 'off', 'acorn'],
    default: 'normal',
    describe: 'plain names: in lower case without ";1", as recorded, or with Acorn file types',
  },
  {
    name: 'check',
    kind: 'text',
    choices: ['relaxed', 'strict'],
    default: 'relaxed',
    describe: 'find plain and Joliet names in either case, or only as they are',
  },
  { name: 'uid', kind: 'number', describe: 'owner of all files' },
  { name: 'gid', kind: 'number', describe: 'group of all files' },
  { name: 'mode', kind: 'text', default: '0555', describe: 'permissions of files that have none (octal)' },
  { name: 'dmode', kind: 'text', default: '0555', describe: 'permissions of directories that have none (octal)' },
  { name: 'overriderockperm', kind: 'flag', describe: 'mode and dmode go before those of Rock Ridge' },
  { name: 'hide', kind: 'flag', describe: 'do not show hidden files' },
  { name: 'unhide', kind: 'flag', describe: 'show hidden and associated files' },
  { name: 'showassoc', kind: 'flag', describe: 'show associated files, as "=NAME"' },
  { name: 'cruft', kind: 'flag', describe: 'ignore the highest byte of file lengths' },
  { name: 'nocompress', kind: 'flag', describe: 'show files of zisofs as they are recorded' },
  { name: 'session', kind: 'number', describe: 'which session, 1 for the first; the last one by default' },
  { name: 'sbsector', kind: 'number', describe: 'the sector (of 2048 bytes) that the session begins with' },
  {
    name: 'block',
    kind: 'text',
    choices: ['512', '1024', '2048'],
    describe: 'bytes of a logical block, where the disc says it wrong',
  },
  { name: 'iocharset', kind: 'text', choices: ['utf8'], default: 'utf8', describe: 'file names are UTF-8' },
  { name: 'utf8', kind: 'flag', describe: 'the same' },
];
