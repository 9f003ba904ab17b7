import assert from 'node:assert/strict';
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_CREAT,
  O_RDWR,
} from '../../../src/kernel/fcntl.js';
import { fails, put } from '../check.js';
import type { Case } from '../matrix.js';

/** Advisory locks. */
export const lockCases: readonly Case[] = [
  {
    name: 'flock: shared, exclusive, by open file',
    needs: ['flock'],
    async run({ fs }) {
      const a = await fs.open('file', O_RDWR | O_CREAT);
      const b = await fs.open('file', O_RDWR);
      await fs.flock(a, LOCK_EX);
      await fails('EAGAIN', fs.flock(b, LOCK_EX | LOCK_NB), 'exclusive against exclusive');
      await fails('EAGAIN', fs.flock(b, LOCK_SH | LOCK_NB), 'shared against exclusive');
      await fs.flock(a, LOCK_SH);
      await fs.flock(b, LOCK_SH | LOCK_NB);
      await fails('EAGAIN', fs.flock(b, LOCK_EX | LOCK_NB), 'upgrade against shared');
      await fs.flock(a, LOCK_UN);
      await fs.flock(b, LOCK_EX | LOCK_NB);
      await fs.close(b);
      await fs.flock(a, LOCK_EX | LOCK_NB);
      await fs.close(a);
    },
  },
  {
    name: 'record locks: between processes',
    needs: ['recordlocks', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'x'.repeat(1000));
      const other = await proc();
      const a = await fs.open('file', O_RDWR);
      const b = await other.open('file', O_RDWR);
      await fs.setlk(a, { type: F_WRLCK, start: 100, length: 100 });
      await fails(['EAGAIN', 'EACCES'], other.setlk(b, { type: F_WRLCK, start: 150, length: 10 }), 'inside');
      await fails(['EAGAIN', 'EACCES'], other.setlk(b, { type: F_RDLCK, start: 0, length: 0 }), 'over all');
      await other.setlk(b, { type: F_WRLCK, start: 0, length: 100 });
      await other.setlk(b, { type: F_WRLCK, start: 200, length: 0 });
      assert.deepEqual(await other.getlk(b, { type: F_WRLCK, start: 150, length: 1 }), {
        type: F_WRLCK,
        start: 100,
        length: 100,
      });
      assert.equal(await other.getlk(b, { type: F_WRLCK, start: 0, length: 100 }), null);
      // Unlocking the middle splits the lock.
      await fs.setlk(a, { type: F_UNLCK, start: 120, length: 10 });
      await other.setlk(b, { type: F_WRLCK, start: 120, length: 10 });
      await fails(['EAGAIN', 'EACCES'], other.setlk(b, { type: F_WRLCK, start: 119, length: 1 }), 'left of the middle');
      await fails(
        ['EAGAIN', 'EACCES'],
        other.setlk(b, { type: F_WRLCK, start: 130, length: 1 }),
        'right of the middle',
      );
      await fs.close(a);
      await other.setlk(b, { type: F_WRLCK, start: 0, length: 0 });
      await other.close(b);
    },
  },
  {
    name: 'record locks: shared ones together, and downgraded',
    needs: ['recordlocks', 'processes'],
    async run({ fs, proc }) {
      await put(fs, 'file', 'x'.repeat(100));
      const other = await proc();
      const a = await fs.open('file', O_RDWR);
      const b = await other.open('file', O_RDWR);
      await fs.setlk(a, { type: F_RDLCK, start: 0, length: 50 });
      await other.setlk(b, { type: F_RDLCK, start: 25, length: 50 });
      await fails(
        ['EAGAIN', 'EACCES'],
        fs.setlk(a, { type: F_WRLCK, start: 0, length: 50 }),
        'upgrade under a shared one',
      );
      await fs.setlk(a, { type: F_WRLCK, start: 0, length: 25 });
      await fs.setlk(a, { type: F_RDLCK, start: 0, length: 25 });
      await other.setlk(b, { type: F_RDLCK, start: 0, length: 25 });
      await fs.close(a);
      await other.close(b);
    },
  },
];
