import fc from 'fast-check';
import t from 'tap';
import { bytestrFromUtf16, loneSurrogate, utf16FromBytestr, utf16Length } from '../../../src/fs/lib/names/utf16.js';
import { CHARSETS, charset } from '../../../src/fs/lib/names/charset.js';

t.test('UTF-16 and byte strings, against the encoder and decoder of the host', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (s) => {
      const name = Buffer.from(s).toString('latin1');
      return (
        bytestrFromUtf16(s) === name &&
        utf16FromBytestr(name) === s &&
        utf16Length(name) === s.length &&
        !loneSurrogate(s)
      );
    }),
  );
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
      let expected: string | null = null;
      try {
        expected = strict.decode(bytes);
      } catch {
        // no UTF-8
      }
      return utf16FromBytestr(Buffer.from(bytes).toString('latin1')) === expected;
    }),
    { numRuns: 5000 },
  );
  for (const bad of ['\xc0\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe0\x80\x80', '\xe2\x82', '\x80', '\xff']) {
    t.equal(utf16FromBytestr(bad), null);
  }
  t.ok(loneSurrogate('a\ud800'));
  t.ok(loneSurrogate('\udc00\ud800'));
  t.equal(bytestrFromUtf16('\ud800'), '\xed\xa0\x80');
  t.end();
});

t.test('character sets: what is encoded decodes, and the case tables are the kernel\'s', (t) => {
  for (const name of CHARSETS) {
    const set = charset(name)!;
    for (let byte = 0; byte < 256; byte++) {
      const unit = set.decode(String.fromCharCode(byte));
      if (unit.length === 1 && unit !== '\ufffd') t.equal(set.decode(set.encode(unit)), unit, `${name} ${byte}`);
    }
  }
  const cp437 = charset('437')!;
  // fs/nls/nls_cp437.c: charset2upper and charset2lower; 0 there means no counterpart.
  for (const [from, to] of [
    [0x81, 0x9a],
    [0x82, 0x90],
    [0x83, 0x83],
    [0x84, 0x8e],
    [0x87, 0x80],
    [0x91, 0x92],
    [0x98, 0x98],
    [0xa4, 0xa5],
    [0x61, 0x41],
    [0xed, 0xe8],
  ]) {
    t.equal(cp437.upper[from!], to);
  }
  for (const [from, to] of [
    [0x80, 0x87],
    [0x8e, 0x84],
    [0x8f, 0x86],
    [0x90, 0x82],
    [0x99, 0x94],
    [0xe4, 0xe5],
    [0xe8, 0xed],
    [0x5a, 0x7a],
    [0x5b, 0x5b],
  ]) {
    t.equal(cp437.lower[from!], to);
  }
  t.equal(charset('CP932')!.decode('\x82\xa0\x41\xb1'), 'あAｱ');
  t.equal(charset('cp932')!.encode('あ'), '\x82\xa0');
  t.equal(charset('cp932')!.length('\x82\xa0', 0), 2);
  t.equal(charset('iso-8859-15')!.encode('€'), '\xa4');
  t.equal(charset('windows-1252')!.encode('€'), '\x80');
  t.equal(charset('us-ascii')!.encode('é'), '');
  t.equal(charset('klingon'), undefined);
  t.end();
});
