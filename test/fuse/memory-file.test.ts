import { ftruncateSync, readSync, writeSync } from 'node:fs';
import t from 'tap';
import { MemoryFile } from '../../src/fuse/succession/memory-file.js';

const BYTES = 1 << 20;

t.test('the memory that servers share stays as long as it is, whoever has it', { skip: process.platform !== 'linux' }, (t) => {
  const memory = MemoryFile.make(BYTES)!;
  const code = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  t.equal(code(() => writeSync(memory.fd, Buffer.alloc(4096), 0, 4096, BYTES)), 'EPERM', 'not longer by writing');
  t.equal(code(() => ftruncateSync(memory.fd, 2 * BYTES)), 'EPERM', 'nor otherwise');
  t.equal(code(() => ftruncateSync(memory.fd, 0)), 'EPERM', 'nor shorter');
  t.equal(code(() => writeSync(memory.fd, Buffer.from('content'), 0, 7, BYTES - 7)), 7, 'it can be written');
  const read = Buffer.alloc(7);
  readSync(memory.fd, read, 0, 7, BYTES - 7);
  t.equal(read.toString(), 'content');
  memory.close();
  t.end();
});
