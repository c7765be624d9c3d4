// SPDX-License-Identifier: MIT
/**
 * The sealing keys on disk: `keys.json`, mode 0600, written whole and renamed. The one file of the push service that
 * cannot be made again: without it every endpoint and every uaToken is void.
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { bytesEqual, hexDecode, hexEncode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { base64urlDecode, base64urlEncode } from "../webpush/base64url.ts";
import { KEY_ID_BYTES, type Keyring, SEALING_KEY_BYTES, type SealingKey } from "./seal.ts";

/** `keys.json`: `current` names a member of `keys`, hex of the key id → base64url of the secret. */
interface KeyringFile {
  readonly version: 1;
  readonly current: string;
  readonly keys: Readonly<Record<string, string>>;
}

/** A ring of one new random key. */
export function newKeyring(): Keyring {
  return { current: newKey([]), older: [] };
}

/** A ring whose current key is new and which still opens everything `keyring` does. */
export function rotateKeyring(keyring: Keyring): Keyring {
  const older = [keyring.current, ...keyring.older];
  return { current: newKey(older), older };
}

/** A ring with one more key, which opens and does not seal yet. */
export function addKey(keyring: Keyring): Keyring {
  return { ...keyring, older: [...keyring.older, newKey([keyring.current, ...keyring.older])] };
}

/**
 * The same keys, with another one of them sealing.
 *
 * @param idHex 8 hex digits
 * @throws {GodwitError} ERR_KEYRING no key of the ring has this id
 */
export function useKey(keyring: Keyring, idHex: string): Keyring {
  const keys = [keyring.current, ...keyring.older];
  const current = keys.find(({ id }) => hexEncode(id) === idHex);
  if (current === undefined) throw new GodwitError("ERR_KEYRING", `no key ${idHex} in the ring`);
  return { current, older: keys.filter((key) => key !== current) };
}

/**
 * The ring without one of its keys: what that sealed is void from then on.
 *
 * @param idHex 8 hex digits
 * @throws {GodwitError} ERR_KEYRING no key of the ring has this id, or it is the one that seals
 */
export function removeKey(keyring: Keyring, idHex: string): Keyring {
  if (hexEncode(keyring.current.id) === idHex)
    throw new GodwitError("ERR_KEYRING", `${idHex} seals: use another key first`);
  const older = keyring.older.filter(({ id }) => hexEncode(id) !== idHex);
  if (older.length === keyring.older.length)
    throw new GodwitError("ERR_KEYRING", `no key ${idHex} in the ring`);
  return { ...keyring, older };
}

/**
 * Reads the ring at `path`, or makes one there: only where nothing can have been sealed yet.
 *
 * @throws {GodwitError} ERR_KEYRING others may read the file, or it is not a key ring
 */
export function loadKeyring(path: string): Keyring {
  if (existsSync(path)) return readKeyring(path);
  const keyring = newKeyring();
  saveKeyring(path, keyring);
  return keyring;
}

/**
 * Reads the ring at `path`.
 *
 * @throws {GodwitError} ERR_KEYRING it is missing, others may read the file, or it is not a key ring
 */
export function readKeyring(path: string): Keyring {
  if (!existsSync(path))
    throw new GodwitError("ERR_KEYRING", `${path} is missing: put it back from the copy`);
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new GodwitError(
      "ERR_KEYRING",
      `others can read ${path}: chmod 600 it, and rotate the keys if they may have`,
    );
  }
  return parseKeyring(path, readFileSync(path, "utf8"));
}

/** Replaces the file at `path` in one step that survives a power cut. */
export function saveKeyring(path: string, keyring: Keyring): void {
  const keys = [keyring.current, ...keyring.older];
  const file: KeyringFile = {
    version: 1,
    current: hexEncode(keyring.current.id),
    keys: Object.fromEntries(keys.map(({ id, secret }) => [hexEncode(id), base64urlEncode(secret)])),
  };
  const temporary = `${path}.new`;
  // One left over from an earlier attempt could be readable by others, or a link.
  rmSync(temporary, { force: true });
  const descriptor = openSync(temporary, "wx", 0o600);
  writeSync(descriptor, `${JSON.stringify(file, null, 2)}\n`);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(temporary, path);
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}

function parseKeyring(path: string, text: string): Keyring {
  try {
    const file = JSON.parse(text) as KeyringFile;
    const keys = Object.entries(file.keys).map(([id, secret]) => parseKey(id, secret));
    const current = keys.find(({ id }) => hexEncode(id) === file.current);
    if (file.version !== 1 || current === undefined) throw new Error("no current key");
    return { current, older: keys.filter((key) => key !== current) };
  } catch {
    // The parser's message could quote a key.
    throw new GodwitError("ERR_KEYRING", `${path} is not a key ring`);
  }
}

function parseKey(idHex: string, secretText: string): SealingKey {
  const id = hexDecode(idHex);
  const secret = base64urlDecode(secretText);
  if (id?.length !== KEY_ID_BYTES || secret.length !== SEALING_KEY_BYTES) throw new Error("lengths");
  return { id, secret };
}

/** A random key whose id differs from those of `others`. */
function newKey(others: readonly SealingKey[]): SealingKey {
  for (;;) {
    const id = new Uint8Array(randomBytes(KEY_ID_BYTES));
    if (others.some((other) => bytesEqual(other.id, id))) continue;
    return { id, secret: new Uint8Array(randomBytes(SEALING_KEY_BYTES)) };
  }
}
