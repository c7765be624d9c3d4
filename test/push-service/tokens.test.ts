// SPDX-License-Identifier: MIT
// Goal: nobody but the service makes or changes a uaToken, endpoint or Location, and key rotation breaks none. Method:
// round trips, every single-byte change, other kinds and rings, and the key file with its permissions.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hexEncode } from "../../src/bytes.ts";
import { UA_TOKEN_REFRESH_MS } from "../../src/limits.ts";
import {
  loadKeyring,
  newKeyring,
  readKeyring,
  removeKey,
  rotateKeyring,
  saveKeyring,
} from "../../src/push-service/keyring.ts";
import { type Keyring, Sealer } from "../../src/push-service/seal.ts";
import { endpointKeyHash, isEndpointKey, isUaTokenOld, Tokens } from "../../src/push-service/tokens.ts";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import { DEVICE_DIALECTS } from "../../src/wire/dialect.ts";

const uaid = Uint8Array.from({ length: 16 }, (_, i) => i);
const key = Uint8Array.from({ length: 65 }, (_, i) => (i === 0 ? 4 : i));
const claims = { uaid, issuedMs: 1_800_000_000_123, generation: 7 };

describe("tokens", () => {
  const keyring = newKeyring();
  const tokens = new Tokens(new Sealer(keyring));

  test("uaToken, endpoint and Location come back as they were sealed", () => {
    expect(tokens.openUaToken(tokens.sealUaToken(claims))).toEqual(claims);
    for (const dialect of DEVICE_DIALECTS) {
      const endpoint = { uaid, channel: 0xffff_ffff, keyHash: endpointKeyHash(key), dialect };
      expect(tokens.openEndpoint(tokens.sealEndpoint(endpoint))).toEqual(endpoint);
      const open = { uaid, channel: 1, keyHash: null, dialect };
      expect(tokens.openEndpoint(tokens.sealEndpoint(open))).toEqual(open);
    }
    const message = { uaid, channel: 2, id: Number.MAX_SAFE_INTEGER };
    expect(tokens.openMessage(tokens.messages(message).seal(message.id))).toEqual(message);
  });

  test("the same endpoint is sealed the same way, another one differently", () => {
    const seal = (channel: number) =>
      tokens.sealEndpoint({ uaid, channel, keyHash: null, dialect: "godwit.v1" });
    expect(seal(1)).toBe(seal(1));
    expect(seal(1)).not.toBe(seal(2));
  });

  test("any changed byte is refused", () => {
    const bytes = base64urlDecode(tokens.sealUaToken(claims));
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      const code = at < 4 ? "ERR_SEAL_FOREIGN" : "ERR_SEAL_FORGED";
      expect(() => tokens.openUaToken(base64urlEncode(changed))).toThrow(expect.objectContaining({ code }));
    }
  });

  test.each(["", "a", "not base64url!", "AAAA", `${"A".repeat(200)}=`])("text %j is refused", (text) => {
    expect(() => tokens.openUaToken(text)).toThrow(expect.objectContaining({ code: "ERR_SEAL_MALFORMED" }));
  });

  test("one kind never opens as another", () => {
    const [message = ""] = tokens.messages({ uaid, channel: 1 }).seal(1).split(".");
    const forged = expect.objectContaining({ code: "ERR_SEAL_FORGED" });
    expect(() => tokens.openUaToken(message)).toThrow(forged);
    expect(() => tokens.openEndpoint(tokens.sealUaToken(claims))).toThrow(forged);
  });

  test("what was opened under a key that left the ring is opened no more", () => {
    const sealer = new Sealer(keyring);
    const text = sealer.seal("endpoint", Uint8Array.of(1, 2, 3));
    const open = () => sealer.recall("endpoint", text, (plaintext) => [...plaintext]);
    expect(open()).toEqual([1, 2, 3]);
    expect(open()).toBe(open());
    expect(() => sealer.recall("message", text, () => 0)).toThrow(
      expect.objectContaining({ code: "ERR_SEAL_FORGED" }),
    );
    sealer.use(newKeyring());
    expect(open).toThrow(expect.objectContaining({ code: "ERR_SEAL_FOREIGN" }));
  });

  test("a Location with any other character, of another channel or cut short is refused", () => {
    const codeOf = (text: string): unknown => {
      try {
        return tokens.openMessage(text);
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    };
    const text = tokens.messages({ uaid, channel: 1 }).seal(5);
    for (let at = 0; at < text.length; at++) {
      for (const other of ["B", "."]) {
        const changed = `${text.slice(0, at)}${text[at] === other ? "C" : other}${text.slice(at + 1)}`;
        expect(codeOf(changed)).toMatch(/^ERR_SEAL_(MALFORMED|FOREIGN|FORGED)$/);
      }
      expect(codeOf(text.slice(0, at))).toBe("ERR_SEAL_MALFORMED");
    }
    const [, number = ""] = text.split(".");
    const [name = ""] = tokens.messages({ uaid, channel: 2 }).seal(5).split(".");
    expect(codeOf(`${name}.${number}`)).toBe("ERR_SEAL_FORGED");
  });

  test("a Location tells no message from another, and is the same for the same one", () => {
    const series = tokens.messages({ uaid, channel: 1 });
    const texts = Array.from({ length: 64 }, (_, id) => series.seal(id));
    expect(new Set(texts.map((text) => text.split(".")[0])).size).toBe(1);
    expect(new Set(texts.map((text) => text.split(".")[1])).size).toBe(texts.length);
    expect(tokens.messages({ uaid, channel: 1 }).seal(7)).toBe(texts[7]);
  });

  test("a series goes on under the key it began with, and its numbers open under a ring that has it", () => {
    const sealer = new Sealer(keyring);
    const moving = new Tokens(sealer);
    const series = moving.messages({ uaid, channel: 3 });
    sealer.use(rotateKeyring(keyring));
    expect(moving.openMessage(series.seal(9))).toEqual({ uaid, channel: 3, id: 9 });
  });

  test("a rotated ring opens what the old key sealed, and seals with the new one", () => {
    const rotated = rotateKeyring(rotateKeyring(keyring));
    const next = new Tokens(new Sealer(rotated));
    expect(next.openUaToken(tokens.sealUaToken(claims))).toEqual(claims);
    expect(() => tokens.openUaToken(next.sealUaToken(claims))).toThrow(
      expect.objectContaining({ code: "ERR_SEAL_FOREIGN" }),
    );
  });

  test("a ring without a key opens nothing that it sealed, and the one that seals stays", () => {
    const idOf = ({ current }: Keyring) => hexEncode(current.id);
    const rotated = rotateKeyring(keyring);
    const sealer = new Sealer(rotated);
    const next = new Tokens(sealer);
    const [old, fresh] = [tokens.sealUaToken(claims), next.sealUaToken(claims)];
    expect(next.openUaToken(old)).toEqual(claims);
    const removed = removeKey(rotated, idOf(keyring));
    expect(removed).toEqual({ current: rotated.current, older: [] });
    sealer.use(removed);
    expect(next.openUaToken(fresh)).toEqual(claims);
    expect(() => next.openUaToken(old)).toThrow(expect.objectContaining({ code: "ERR_SEAL_FOREIGN" }));
    for (const id of [idOf(rotated), idOf(keyring), "00000000"])
      expect(() => removeKey(removed, id)).toThrow(expect.objectContaining({ code: "ERR_KEYRING" }));
  });

  test("another service's token is foreign", () => {
    const other = new Tokens(new Sealer(newKeyring()));
    expect(() => tokens.openUaToken(other.sealUaToken(claims))).toThrow(
      expect.objectContaining({ code: "ERR_SEAL_FOREIGN" }),
    );
  });

  test("an endpoint knows its key, and only that one", () => {
    const restricted = { uaid, channel: 1, keyHash: endpointKeyHash(key), dialect: "godwit.v1" } as const;
    expect(isEndpointKey(restricted, key)).toBe(true);
    expect(isEndpointKey(restricted, key.slice().fill(4))).toBe(false);
    expect(isEndpointKey({ ...restricted, keyHash: null }, key)).toBe(false);
  });

  test("a token is old after the refresh age", () => {
    expect(isUaTokenOld(claims, claims.issuedMs + UA_TOKEN_REFRESH_MS - 1)).toBe(false);
    expect(isUaTokenOld(claims, claims.issuedMs + UA_TOKEN_REFRESH_MS)).toBe(true);
  });
});

describe("key ring file", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "godwit-keys-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("is made once, readable by its owner only, and found again", () => {
    const path = join(directory, "keys.json");
    const made = loadKeyring(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadKeyring(path)).toEqual(made);
  });

  test("keeps older keys through a rotation", () => {
    const path = join(directory, "keys.json");
    const rotated = rotateKeyring(loadKeyring(path));
    saveKeyring(path, rotated);
    expect(loadKeyring(path)).toEqual(rotated);
  });

  test("is not written through what an earlier attempt left beside it", () => {
    const path = join(directory, "keys.json");
    const elsewhere = join(directory, "elsewhere");
    symlinkSync(elsewhere, `${path}.new`);
    saveKeyring(path, newKeyring());
    expect(existsSync(elsewhere)).toBe(false);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
  });

  test("is made by nobody who only reads it", () => {
    const path = join(directory, "keys.json");
    expect(() => readKeyring(path)).toThrow(expect.objectContaining({ code: "ERR_KEYRING" }));
    expect(existsSync(path)).toBe(false);
  });

  test("is refused when others can read it", () => {
    const path = join(directory, "keys.json");
    loadKeyring(path);
    chmodSync(path, 0o644);
    expect(() => loadKeyring(path)).toThrow(expect.objectContaining({ code: "ERR_KEYRING" }));
  });

  test("is refused when it is not a key ring, and its text is not quoted", () => {
    const path = join(directory, "keys.json");
    loadKeyring(path);
    writeFileSync(path, readFileSync(path, "utf8").replace('"current"', '"other"'), { mode: 0o600 });
    expect(() => loadKeyring(path)).toThrow(expect.objectContaining({ code: "ERR_KEYRING" }));
    writeFileSync(path, "sEcReT{");
    expect(() => loadKeyring(path)).toThrow(/^(?!.*sEcReT)/s);
  });
});
