/**
 * File numbers and generations for formats whose files have no numbers of their own (FAT, exFAT): a file is where its
 * directory entry is, and entries move. The number of a file is the place of its entry when the file was first seen in
 * this mount, and stays the same while anybody may know it, whatever becomes of the entry. Files that have moved, or
 * whose place was taken by the number of another, are exceptions in a table.
 *
 * A place is any number that tells entries of a volume apart, 0..2^52: its byte offset on the device in units of an
 * entry.
 *
 * States of a number: unknown (never given out) -> in use (a file has it) -> removed (the entry is gone, but the file
 * is still open; `placeOf` answers undefined) -> unknown again (`gone`), with another generation.
 */
export class FileNumbers {
  /** Numbers of entries that are not where their number says; and the same the other way round. */
  private readonly places = new Map<number, number>();
  private readonly numbers = new Map<number, number>();
  /** Numbers whose file is not at its own place any more: moved, or removed and still open. */
  private readonly away = new Set<number>();
  /** Of numbers that were used before: how often. */
  private readonly generations = new Map<number, number>();
  private next: number;
  private readonly extra: number;
  /**
   * Called when a number has become an exception or is one no more, with what `inherit` needs to know of it: for a
   * driver that has this kept for a successor (Mount.mnt_kept).
   */
  record: ((number: number, words: readonly number[]) => void) | null = null;

  /**
   * `first`: the number of place 0, above the numbers that the driver gives to files without an entry (the root).
   * `places`: how many places there are; numbers from first + places on are for files whose place was taken.
   */
  constructor(
    private readonly first: number,
    places: number,
  ) {
    this.extra = this.next = first + places;
  }

  /** The number of the file whose entry is at `place`. */
  numberAt(place: number): number {
    const moved = this.numbers.get(place);
    if (moved !== undefined) return moved;
    const number = this.first + place;
    if (!this.away.has(number)) return number;
    return this.assign(place);
  }

  /** Where the entry of the file is; undefined: it has none, or nobody has been given this number. */
  placeOf(number: number): number | undefined {
    const place = this.places.get(number);
    if (place !== undefined) return place;
    const own = number - this.first;
    if (!(own >= 0) || number >= this.extra || this.away.has(number) || this.numbers.has(own)) return undefined;
    return own;
  }

  /** Changes whenever the number is used for another file. */
  generation(number: number): number {
    return this.generations.get(number) ?? 0;
  }

  /** The entry of the file is at `place` from now on; no other file's is. */
  moved(number: number, place: number): void {
    this.leave(number);
    if (place === number - this.first && number < this.extra) this.away.delete(number);
    else this.put(number, place);
    this.note(number);
  }

  /** The file has no entry any more. Its number is not given to another file before `gone`. */
  removed(number: number): void {
    this.leave(number);
    this.note(number);
  }

  /** Nobody uses the removed file any more. */
  gone(number: number): void {
    this.generations.set(number, this.generation(number) + 1);
    this.away.delete(number);
    this.note(number);
  }

  private put(number: number, place: number): void {
    this.places.set(number, place);
    this.numbers.set(place, number);
  }

  /** The file's entry is not where it was. */
  private leave(number: number): void {
    const place = this.places.get(number);
    if (place !== undefined) {
      this.places.delete(number);
      if (this.numbers.get(place) === number) this.numbers.delete(place);
    }
    if (number < this.extra) this.away.add(number);
  }

  /** A number for an entry whose place's own number belongs to another file. */
  private assign(place: number): number {
    const number = this.next++;
    this.put(number, place);
    this.note(number);
    return number;
  }

  private note(number: number): void {
    this.record?.(number, [this.places.get(number) ?? -1, this.away.has(number) ? 1 : 0, this.generation(number)]);
  }

  /** Takes over what a predecessor recorded last of a number. */
  inherit(number: number, words: readonly number[]): void {
    const [place = -1, away = 0, generation = 0] = words;
    this.leave(number);
    if (place >= 0) this.put(number, place);
    if (away === 0) this.away.delete(number);
    if (generation > 0) this.generations.set(number, generation);
    if (number >= this.next) this.next = number + 1;
    this.note(number);
  }
}
