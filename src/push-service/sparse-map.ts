// SPDX-License-Identifier: MIT
/** A Map for what most devices have nothing of, most of the time: empty it takes 32 bytes, and one of the language's 184. Pure. */

export class SparseMap<K, V> {
  #map: Map<K, V> | null = null;

  get size(): number {
    return this.#map?.size ?? 0;
  }

  get(key: K): V | undefined {
    return this.#map?.get(key);
  }

  has(key: K): boolean {
    return this.#map?.has(key) ?? false;
  }

  set(key: K, value: V): void {
    this.#map ??= new Map();
    this.#map.set(key, value);
  }

  /** True when it was there. */
  delete(key: K): boolean {
    const wasThere = this.#map?.delete(key) ?? false;
    if (this.#map?.size === 0) this.#map = null;
    return wasThere;
  }

  clear(): void {
    this.#map = null;
  }

  /** In the order of the first `set`. What is deleted while iterating is not met any more; nothing may be added. */
  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#map?.entries() ?? [].values();
  }

  keys(): IterableIterator<K> {
    return this.#map?.keys() ?? [].values();
  }

  values(): IterableIterator<V> {
    return this.#map?.values() ?? [].values();
  }
}
