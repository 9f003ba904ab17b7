import fc from 'fast-check';
import t from 'tap';
import { HOST_ZONE, dosToUnix, fixedZone, unixToDos } from '../../../src/fs/lib/dostime.js';
import type { DosTime } from '../../../src/fs/lib/dostime.js';

const utc = fixedZone(0);
const out: DosTime = { date: 0, time: 0, hundredths: 0 };

t.test('times go there and back', (t) => {
  for (const zone of [utc, fixedZone(330), fixedZone(-60)]) {
    fc.assert(
      fc.property(fc.integer({ min: 315_619_200, max: 4_354_700_000 }), fc.nat(999_999_999), (sec, nsec) => {
        unixToDos(sec, nsec, zone, out);
        return (
          dosToUnix(out.date, out.time, zone) + Math.floor(out.hundredths / 100) === sec &&
          out.hundredths % 100 === Math.floor(nsec / 10_000_000)
        );
      }),
    );
  }
  const summer = Date.UTC(2024, 6, 1, 12) / 1000;
  unixToDos(summer, 0, HOST_ZONE, out);
  t.equal(dosToUnix(out.date, out.time, HOST_ZONE), summer);
  t.end();
});

t.test('what does not exist', (t) => {
  t.equal(dosToUnix(0, 0, utc), Date.UTC(1980, 0, 1) / 1000, 'zero is the first of January 1980');
  t.equal(dosToUnix((44 << 9) | (15 << 5) | 3, 0, utc), Date.UTC(2024, 11, 3) / 1000);
  unixToDos(-1, 0, utc, out);
  t.strictSame({ ...out }, { date: 33, time: 0, hundredths: 0 });
  unixToDos(2 ** 33 + 1, 0, utc, out);
  t.equal(dosToUnix(out.date, out.time, utc), Date.UTC(2107, 11, 31, 23, 59, 58) / 1000);
  t.equal(fixedZone(60).toUtc(2000, 1, 1, 1, 0, 0), Date.UTC(2000, 0, 1) / 1000);
  t.end();
});
