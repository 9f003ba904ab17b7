/** The set of entries of one file, as it lies on the disk: up to 19 entries, one behind the other. */
import type { DosZone } from '../../lib/dostime.js';
import {
  BENIGN, ENTRY_BYTES, F_ACCESS, F_ACCESS_UTC, F_ATTRIBUTES, F_CHECKSUM, F_CREATE, F_CREATE_10MS, F_CREATE_UTC,
  F_SECONDARY_COUNT, IN_USE, NAME_UNITS, SECONDARIES_MAX, SECONDARIES_MIN, S_DATA_LENGTH, S_FIRST_CLUSTER, S_FLAGS,
  S_NAME_HASH, S_NAME_LENGTH, S_VALID_LENGTH, T_FILE, T_NAME, T_STREAM, get_length, name_entries, put_length,
  set_checksum,
} from '../disk/entry.js';
import { Timestamp } from '../disk/timestamp.js';

export const SET_BYTES_MAX = (SECONDARIES_MAX + 1) * ENTRY_BYTES;
/** Where the stream extension and the first name entry of a set are. */
const STREAM = ENTRY_BYTES;
const NAMES = 2 * ENTRY_BYTES;

/** A set in memory of its own. */
export class FileSet {
  readonly bytes = new Uint8Array(SET_BYTES_MAX);
  readonly view = new DataView(this.bytes.buffer);
  /** Entries, the primary one included. */
  count = 0;

  get attributes(): number {
    return this.view.getUint16(F_ATTRIBUTES, true);
  }
  get flags(): number {
    return this.bytes[STREAM + S_FLAGS];
  }
  get namelength(): number {
    return this.bytes[STREAM + S_NAME_LENGTH];
  }
  get namehash(): number {
    return this.view.getUint16(STREAM + S_NAME_HASH, true);
  }
  get firstcluster(): number {
    return this.view.getUint32(STREAM + S_FIRST_CLUSTER, true);
  }
  /** Not exact above 2^53. */
  get datalength(): number {
    return get_length(this.view, STREAM + S_DATA_LENGTH);
  }
  get validlength(): number {
    return get_length(this.view, STREAM + S_VALID_LENGTH);
  }

  /** Sets what the stream extension says of the content. */
  setstream(flags: number, first: number, valid: number, length: number): void {
    this.bytes[STREAM + S_FLAGS] = flags;
    this.view.setUint32(STREAM + S_FIRST_CLUSTER, first, true);
    put_length(this.view, STREAM + S_VALID_LENGTH, valid);
    put_length(this.view, STREAM + S_DATA_LENGTH, length);
  }

  /** What is wrong with its structure; undefined: nothing. The checksum is another matter. */
  problem(): string | undefined {
    const { bytes, count } = this;
    if (bytes[0] !== T_FILE || count < SECONDARIES_MIN + 1) return `${count - 1} secondary entries`;
    if (bytes[STREAM] !== T_STREAM) return `type 0x${bytes[STREAM].toString(16)} in place of a stream extension`;
    const length = this.namelength;
    const names = name_entries(length);
    if (length === 0 || names + 2 > count) return `NameLength ${length} with ${count - 1} secondary entries`;
    for (let i = 0; i < names; i++) {
      const type = bytes[NAMES + i * ENTRY_BYTES];
      if (type !== T_NAME) return `type 0x${type.toString(16)} in place of name ${i}`;
    }
    for (let i = names + 2; i < count; i++) {
      const type = bytes[i * ENTRY_BYTES];
      // Nobody may touch a file with a critical entry that he does not know.
      if ((type & (IN_USE | BENIGN)) !== (IN_USE | BENIGN)) {
        return `unknown critical entry, type 0x${type.toString(16)}`;
      }
    }
    return undefined;
  }

  /**
   * Which turn the name is of, modulo 4. A rename that takes a file to another block of 512 bytes puts the new name on
   * the disk before the old one goes; the new one has the turn behind that of the old one, so that a check knows which
   * is which.
   */
  get turn(): number {
    return this.accessed.turn;
  }

  setturn(turn: number, zone: DosZone): void {
    const time = this.accessed;
    time.setturn(turn, zone);
    this.view.setUint32(F_ACCESS, time.stamp, true);
    this.bytes[F_ACCESS_UTC] = time.utc;
  }

  private get accessed(): Timestamp {
    const time = new Timestamp();
    time.stamp = this.view.getUint32(F_ACCESS, true);
    time.utc = this.bytes[F_ACCESS_UTC];
    return time;
  }

  /**
   * This set and `other` begin with one cluster: is that one file, and its newer name this one? Files made at different
   * moments are different ones. undefined: nobody can tell.
   */
  newerthan(other: FileSet): boolean | undefined {
    const { bytes, view } = this;
    if (view.getUint32(F_CREATE, true) !== other.view.getUint32(F_CREATE, true)) return undefined;
    if (bytes[F_CREATE_10MS] !== other.bytes[F_CREATE_10MS] || bytes[F_CREATE_UTC] !== other.bytes[F_CREATE_UTC]) {
      return undefined;
    }
    // Two turns can lie between: the disk has names of the last flush, and of one that was written before its end.
    const turns = (this.turn - other.turn) & 3;
    return turns === 0 ? undefined : turns < 3;
  }

  /** Is SetChecksum right? */
  get summed(): boolean {
    return this.view.getUint16(F_CHECKSUM, true) === set_checksum(this.bytes, 0, this.count);
  }

  sum(): void {
    this.view.setUint16(F_CHECKSUM, set_checksum(this.bytes, 0, this.count), true);
  }

  /** UTF-16 units of the name. The structure has been found to be right. */
  name(): string {
    const { view } = this;
    let name = '';
    const length = this.namelength;
    for (let i = 0; i < length; i++) {
      name += String.fromCharCode(
        view.getUint16(NAMES + Math.floor(i / NAME_UNITS) * ENTRY_BYTES + 2 + (i % NAME_UNITS) * 2, true),
      );
    }
    return name;
  }

  /** A new set: everything but name and SecondaryCount is zero. */
  clear(): void {
    this.bytes.fill(0);
    this.bytes[0] = T_FILE;
    this.bytes[STREAM] = T_STREAM;
    this.count = 0;
  }

  /** Gives the set another name; entries of others behind the old one go along. @param hash of the name up-cased */
  setname(units: string, hash: number): void {
    const { bytes, view } = this;
    const old = this.count > 0 ? name_entries(this.namelength) : 0;
    const names = name_entries(units.length);
    const extra = bytes.slice((old + 2) * ENTRY_BYTES, Math.max(this.count, old + 2) * ENTRY_BYTES);
    bytes.fill(0, NAMES);
    for (let i = 0; i < names; i++) bytes[NAMES + i * ENTRY_BYTES] = T_NAME;
    for (let i = 0; i < units.length; i++) {
      view.setUint16(
        NAMES + Math.floor(i / NAME_UNITS) * ENTRY_BYTES + 2 + (i % NAME_UNITS) * 2, units.charCodeAt(i), true,
      );
    }
    // Without room for all of them the last go: they are benign.
    bytes.set(extra.subarray(0, SET_BYTES_MAX - (names + 2) * ENTRY_BYTES), (names + 2) * ENTRY_BYTES);
    this.count = Math.min(SECONDARIES_MAX + 1, names + 2 + extra.length / ENTRY_BYTES);
    bytes[F_SECONDARY_COUNT] = this.count - 1;
    bytes[STREAM + S_NAME_LENGTH] = units.length;
    view.setUint16(STREAM + S_NAME_HASH, hash, true);
  }
}
