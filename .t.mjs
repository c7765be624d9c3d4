// test/simulation/lmdb-process.ts
import { createHash } from "node:crypto";
import { appendFileSync, statSync } from "node:fs";

// src/push-service/store/lmdb.ts
import { chmodSync } from "node:fs";
import { open as open2 } from "lmdb";

// src/errors.ts
var LOCAL_CODES = [
  "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
  "ERR_ECE_PLAINTEXT_TOO_LARGE",
  "ERR_CBOR_VALUE",
  "ERR_SUBSCRIBE_PERMISSION",
  "ERR_SUBSCRIBE_KEY_CHARACTERS",
  "ERR_SUBSCRIBE_KEY_POINT",
  "ERR_SUBSCRIBE_CONFLICT",
  "ERR_SUBSCRIBE_LIMIT",
  "ERR_NOTIFICATION",
  "ERR_APP_HANDLER",
  "ERR_APP_AUTH",
  "ERR_EVENT_OVER",
  "ERR_APP_START",
  "ERR_OWNER",
  "ERR_OPTION",
  "ERR_CONFIG",
  "ERR_KEYRING",
  "ERR_STORE_CLOSED"
];
var ENVIRONMENT_CODES = [
  "ERR_DISPLAY",
  "ERR_JOURNAL_RECORD",
  "ERR_JOURNAL_SEAL",
  "ERR_JOURNAL_FULL",
  "ERR_JOURNAL_IO",
  "ERR_JOURNAL_LOCKED",
  "ERR_JOURNAL_IN_USE",
  "ERR_SUBSCRIBE_ABORTED",
  "ERR_SHUTDOWN",
  "ERR_APP_CONNECTION",
  "ERR_SERVICE_UNREACHABLE",
  "ERR_NETWORK_MONITOR",
  "ERR_STORE"
];
var GodwitError = class extends Error {
  code;
  fault;
  constructor(code, message) {
    super(message);
    this.name = "GodwitError";
    this.code = code;
    this.fault = faultOf(code);
  }
};
function faultOf(code) {
  if (LOCAL_CODES.includes(code)) return "local";
  return ENVIRONMENT_CODES.includes(code) ? "environment" : "remote";
}

// src/service-limits.ts
var DEVICE_MESSAGES_MAX = 1e3;
var DEVICE_MESSAGE_BYTES_MAX = 4194304;
var STORED_MESSAGE_OVERHEAD_BYTES = 128;
var DEVICE_UNUSED_MS_MAX = 30 * 24 * 3600 * 1e3;
var DEVICE_UNSEEN_MS_MAX = 60 * 24 * 3600 * 1e3;
var DEVICE_SEEN_STEP_MS = 24 * 3600 * 1e3;
var EXPIRE_BATCH_MAX = 1e3;
var DEVICES_LOOKED_AT_MAX = 50;
var GROUP_COMMIT_OPERATIONS_MAX = 1024;
var STORE_FREE_BYTES_MIN = 67108864;
var STORE_FREE_CHECK_MS = 1e3;
var CANARY_LIFETIME_MS = 24 * 3600 * 1e3;
var UA_TOKEN_REFRESH_MS = 30 * 24 * 3600 * 1e3;

// src/limits.ts
var ID_MAX = Number.MAX_SAFE_INTEGER;
var SUBSCRIPTIONS_MAX = 3e3;
var CERTIFICATE_ENDS_WARN_MS = 7 * 24 * 3600 * 1e3;
var NETWORK_KNOWLEDGE_MS_MAX = 30 * 24 * 3600 * 1e3;
var TRANSPORT_TRIAL_MS_MAX = 24 * 3600 * 1e3;
var MQTT_PACKET_BYTES_MAX = 16384 + 256;
var DASHBOARD_SESSION_MS_MAX = 12 * 3600 * 1e3;
var ALARM_AHEAD_MS_MAX = 400 * 24 * 3600 * 1e3;
var PROMPT_QUIET_MS = 24 * 3600 * 1e3;
var UNUSED_MS_MAX = 180 * 24 * 3600 * 1e3;
var CLOCKS_APART_MS_MAX = 24 * 3600 * 1e3;
var USE_NOTED_MS = 24 * 3600 * 1e3;
var JOURNAL_SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

// src/push-service/store/group-commit.ts
import { statfs } from "node:fs/promises";
var GroupCommit = class {
  #database;
  #directory;
  #freeBytesMin;
  #queue = [];
  #scheduled = null;
  #failure = null;
  #freeCheckedMs = Number.NEGATIVE_INFINITY;
  #isRoomy = true;
  constructor(options) {
    this.#database = options.database;
    this.#directory = options.directory;
    this.#freeBytesMin = options.freeBytesMin ?? STORE_FREE_BYTES_MIN;
  }
  /**
   * Queues `operation`, which reads and writes the database synchronously, and may be called again when another one of its
   * group failed. Resolves to its result once that survives a power cut.
   *
   * @throws {GodwitError} ERR_STORE the disk is full, the operation threw, or the commit failed; nothing was changed
   * @throws {GodwitError} ERR_STORE_CLOSED after {@link close}
   */
  run(operation) {
    return this.#enqueue(operation, false);
  }
  /** As {@link run}, for an operation that in the end leaves less on disk: it passes when the disk is full. */
  runFreeing(operation) {
    return this.#enqueue(operation, true);
  }
  /** Commits what is queued; everything after it is refused. */
  async close() {
    while (this.#scheduled !== null) await this.#scheduled;
    this.#failure ??= new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }
  #enqueue(run, isFreeing) {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const result = new Promise((resolve, reject) => {
      this.#queue.push({ run, isFreeing, resolve, reject });
    });
    this.#schedule();
    return result;
  }
  #schedule() {
    this.#scheduled ??= new Promise((resolve) => setImmediate(resolve)).then(() => this.#watchSpace()).then(() => {
      this.#commit(this.#queue.splice(0, GROUP_COMMIT_OPERATIONS_MAX));
      this.#scheduled = null;
      if (this.#queue.length > 0) this.#schedule();
    });
  }
  #commit(group) {
    const isAllowed = ({ isFreeing }) => this.#isRoomy || isFreeing;
    for (const operation of group) {
      if (!isAllowed(operation)) operation.reject(storeError("the disk is full"));
    }
    let left = group.filter(isAllowed);
    while (left.length > 0) {
      const culprit = this.#tryCommit(left);
      if (culprit === null) return;
      left = left.filter((operation) => operation !== culprit);
    }
  }
  /** Commits all of `group` or nothing. Returns the operation that stood in the way and was refused, or null. */
  #tryCommit(group) {
    let current = null;
    try {
      if (this.#failure !== null) throw this.#failure;
      const results = this.#database.transactionSync(
        () => group.map((operation) => {
          current = operation;
          const result = operation.run();
          current = null;
          return result;
        })
      );
      group.forEach((operation, index) => {
        operation.resolve(results[index]);
      });
      return null;
    } catch (error) {
      const culprit = current;
      if (culprit !== null && !isDatabaseError(error)) {
        culprit.reject(storeError(`an operation failed: ${String(error)}`));
        return culprit;
      }
      this.#failure ??= storeError(`commit failed: ${String(error)}`);
      for (const operation of group) operation.reject(this.#failure);
      return null;
    }
  }
  async #watchSpace() {
    const nowMs = performance.now();
    if (nowMs < this.#freeCheckedMs + STORE_FREE_CHECK_MS) return;
    this.#freeCheckedMs = nowMs;
    try {
      const { bavail, bsize } = await statfs(this.#directory);
      this.#isRoomy = bavail * bsize >= this.#freeBytesMin;
    } catch {
      this.#isRoomy = true;
    }
  }
};
function isDatabaseError(error) {
  return typeof error?.code === "number";
}
function storeError(message) {
  return new GodwitError("ERR_STORE", message);
}

// src/bytes.ts
function bytesEqual(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
function hexEncode(bytes) {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
function utf8Encode(text) {
  const { TextEncoder } = globalThis;
  return TextEncoder === void 0 ? utf8EncodePortable(text) : new TextEncoder().encode(text);
}
function utf8EncodePortable(text) {
  const bytes = new Uint8Array(3 * text.length);
  let at = 0;
  for (const character of text) {
    let point = character.codePointAt(0) ?? 0;
    if (point >= 55296 && point <= 57343) point = 65533;
    if (point < 128) {
      bytes[at++] = point;
      continue;
    }
    const continuations = point < 2048 ? 1 : point < 65536 ? 2 : 3;
    bytes[at++] = 3840 >> continuations + 1 & 255 | point >> 6 * continuations;
    for (let left = continuations - 1; left >= 0; left--) bytes[at++] = 128 | point >> 6 * left & 63;
  }
  return bytes.slice(0, at);
}

// src/push-service/store/lmdb-keys.ts
var PREFIX = {
  meta: 1,
  device: 16,
  due: 17,
  channel: 32,
  registration: 33,
  message: 48,
  topic: 49,
  expiry: 50
};
var metaKey = () => key(PREFIX.meta);
var deviceKey = (uaid) => key(PREFIX.device, uaid);
var dueKey = (dueMs, uaid) => key(PREFIX.due, [8, dueMs], uaid);
var channelKey = (uaid, channel) => key(PREFIX.channel, uaid, [4, channel]);
var registrationKey = (uaid, registrationId) => key(PREFIX.registration, uaid, registrationId);
var messageKey = (uaid, id) => key(PREFIX.message, uaid, [8, id]);
var topicKey = (uaid, channel, topic) => key(PREFIX.topic, uaid, [4, channel], utf8Encode(topic));
var expiryKey = (expiresMs, uaid, id) => key(PREFIX.expiry, [8, expiresMs], uaid, [8, id]);
var channelKeys = (uaid) => under(PREFIX.channel, uaid);
var messageKeys = (uaid, first, last) => ({
  start: messageKey(uaid, first),
  // A key is below any longer one that starts with it.
  end: key(PREFIX.message, uaid, [8, last], Uint8Array.of(0))
});
var allMessageKeys = () => ({
  start: key(PREFIX.message),
  end: key(PREFIX.message + 1)
});
var expiryKeysUntil = (nowMs) => ({
  start: key(PREFIX.expiry),
  end: key(PREFIX.expiry, [8, nowMs + 1])
});
var deviceKeys = () => ({
  start: key(PREFIX.device),
  end: key(PREFIX.device + 1)
});
var dueKeysUntil = (nowMs) => ({
  start: key(PREFIX.due),
  end: key(PREFIX.due, [8, nowMs + 1])
});
function idOfMessageKey(bytes) {
  return readUint(bytes, 17, 8);
}
function partsOfExpiryKey(bytes) {
  return { uaid: Uint8Array.from(bytes.subarray(9, 25)), id: readUint(bytes, 25, 8) };
}
function uaidOfDueKey(bytes) {
  return Uint8Array.from(bytes.subarray(9, 25));
}
function channelOfChannelKey(bytes) {
  return readUint(bytes, 17, 4);
}
function under(prefix, uaid) {
  return { start: key(prefix, uaid), end: key(prefix, uaid, new Uint8Array(5).fill(255)) };
}
function key(prefix, ...fields) {
  let length = 1;
  for (const field of fields) length += field instanceof Uint8Array ? field.length : field[0];
  const bytes = new Uint8Array(length);
  bytes[0] = prefix;
  let at = 1;
  for (const field of fields) {
    if (field instanceof Uint8Array) {
      bytes.set(field, at);
      at += field.length;
      continue;
    }
    const [width, value] = field;
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no integer of a key`);
    let left = value;
    for (let digit = at + width - 1; digit >= at; digit--) {
      bytes[digit] = left % 256;
      left = Math.floor(left / 256);
    }
    at += width;
  }
  return bytes;
}
function readUint(bytes, at, width) {
  let value = 0;
  for (let digit = at; digit < at + width; digit++) value = value * 256 + (bytes[digit] ?? 0);
  return value;
}

// src/wire/dialect.ts
var URGENCIES = ["very-low", "low", "normal", "high"];
var REVOKE_REASONS = ["application-server", "expired", "administrator"];
var DEVICE_DIALECTS = ["godwit.v1", "autopush"];

// src/push-service/store/rules.ts
import { randomBytes } from "node:crypto";
var DEVICE_QUOTA = {
  messagesMax: DEVICE_MESSAGES_MAX,
  messageBytesMax: DEVICE_MESSAGE_BYTES_MAX
};
function newStoreEpoch() {
  return 1 + randomBytes(6).readUIntBE(0, 6);
}
function quotaBytes({ body, aesgcm }) {
  const headerBytes = aesgcm === void 0 ? 0 : aesgcm.encryption.length + aesgcm.cryptoKey.length;
  return STORED_MESSAGE_OVERHEAD_BYTES + (body?.length ?? 0) + headerBytes;
}
function deviceExpiryMs({ createdMs, seenMs }, isUsed) {
  const unseenMs = seenMs + DEVICE_UNSEEN_MS_MAX;
  return isUsed ? unseenMs : Math.min(unseenMs, createdMs + DEVICE_UNUSED_MS_MAX);
}
function sameKey(a, b) {
  return a === null || b === null ? a === b : bytesEqual(a, b);
}

// src/push-service/store/lmdb-records.ts
var FORMAT_VERSION = 1;
function deviceState(value) {
  const [
    createdMs,
    tokenGeneration,
    lastMessageId,
    lastChannel,
    channels,
    messages,
    messageBytes,
    dialect = 0,
    seenMs = createdMs,
    dueMs = 0
  ] = value;
  const counts = { lastMessageId, lastChannel, channels, messages, messageBytes };
  const known2 = DEVICE_DIALECTS[dialect] ?? "godwit.v1";
  return { createdMs, seenMs, dueMs, dialect: known2, tokenGeneration, ...counts };
}
function deviceValue(state) {
  const { createdMs, tokenGeneration, lastMessageId, lastChannel, channels, messages, messageBytes } = state;
  const { seenMs, dueMs } = state;
  const dialect = DEVICE_DIALECTS.indexOf(state.dialect);
  const counts = [lastMessageId, lastChannel, channels, messages, messageBytes];
  return [createdMs, tokenGeneration, ...counts, dialect, seenMs, dueMs];
}
function channelRecord(channel, value) {
  const [registrationId, key2, createdMs, revoked] = value;
  return {
    channel,
    registrationId: plain(registrationId),
    applicationServerKey: key2 === null ? null : plain(key2),
    createdMs,
    revoked: REVOKE_REASONS[revoked] ?? null
  };
}
function isLiveChannel(value) {
  return value !== void 0 && REVOKE_REASONS[value[3]] === void 0;
}
function channelValue(record) {
  const revoked = record.revoked === null ? -1 : REVOKE_REASONS.indexOf(record.revoked);
  return [record.registrationId, record.applicationServerKey, record.createdMs, revoked];
}
function storedMessage(id, value, instance) {
  const [channel, receivedMs, expiresMs, urgency, saysNotification, topic, writer, body, aesgcm] = value;
  return {
    id,
    channel,
    receivedMs,
    expiresMs,
    urgency: URGENCIES[urgency] ?? "normal",
    topic,
    saysNotification,
    // The decoder hands out views of a buffer it may use again.
    body: body === null ? null : new Uint8Array(body),
    ...aesgcmMember(aesgcm),
    mayHaveBeenSent: writer !== instance
  };
}
function messagePlace(id, value) {
  const [channel, , expiresMs, , , topic, , body, aesgcm] = value;
  return { id, channel, expiresMs, topic, quotaBytes: quotaBytes({ body, ...aesgcmMember(aesgcm) }) };
}
function messageValue(channel, message, instance) {
  const { receivedMs, ttlS, urgency, saysNotification, topic, body, aesgcm } = message;
  const expiresMs = receivedMs + ttlS * 1e3;
  const saying = [URGENCIES.indexOf(urgency), saysNotification, topic, instance, body];
  return aesgcm === void 0 ? [channel, receivedMs, expiresMs, ...saying] : [channel, receivedMs, expiresMs, ...saying, [aesgcm.encryption, aesgcm.cryptoKey]];
}
function aesgcmMember(aesgcm) {
  return aesgcm === void 0 ? {} : { aesgcm: { encryption: aesgcm[0], cryptoKey: aesgcm[1] } };
}
function plain(bytes) {
  return new Uint8Array(bytes);
}

// src/push-service/store/lmdb-devices.ts
var LmdbDevices = class {
  #database;
  /** What the transaction under way has read, by the characters of the uaid; null outside of one. */
  #open = null;
  constructor(database) {
    this.#database = database;
  }
  /** Called inside a transaction: runs its `operations`, then writes the devices they changed. */
  within(operations) {
    const open3 = /* @__PURE__ */ new Map();
    this.#open = open3;
    try {
      const result = operations();
      for (const device of open3.values()) if (device.isChanged) this.#write(device);
      return result;
    } finally {
      this.#open = null;
    }
  }
  get(uaid) {
    return this.#open === null ? this.#read(uaid) : this.#deviceIn(this.#open, uaid).state;
  }
  /** Inside {@link within} only. `uaid` is borrowed until that ends; a null `state` removes the device. */
  put(uaid, state) {
    if (this.#open === null) throw new RangeError("no transaction");
    const device = this.#deviceIn(this.#open, uaid);
    device.state = state;
    device.isChanged = true;
  }
  #deviceIn(open3, uaid) {
    const name = Buffer.from(uaid.buffer, uaid.byteOffset, uaid.length).toString("latin1");
    const known2 = open3.get(name);
    if (known2 !== void 0) return known2;
    const device = { uaid, state: this.#read(uaid), isChanged: false };
    open3.set(name, device);
    return device;
  }
  #read(uaid) {
    const value = this.#database.get(deviceKey(uaid));
    return value === void 0 ? null : deviceState(value);
  }
  /** Inside a synchronous transaction a write is done on return; the promises are for asynchronous ones. */
  #write({ uaid, state }) {
    if (state === null) void this.#database.remove(deviceKey(uaid));
    else void this.#database.put(deviceKey(uaid), deviceValue(state));
  }
};

// src/push-service/store/lmdb-lock.ts
import { mkdirSync } from "node:fs";

// src/node/file-system.ts
import * as fs from "node:fs/promises";
var nodeFileSystem = {
  uid: process.getuid?.() ?? null,
  open: (path, flags, mode) => fs.open(path, flags, mode),
  readFile: (path) => fs.readFile(path),
  stat: (path) => fs.stat(path),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  symlink: (target, path) => fs.symlink(target, path),
  readlink: (path) => fs.readlink(path),
  makeDirectory: async (path, mode) => await fs.mkdir(path, { recursive: true, mode }) !== void 0
};

// src/node/system-processes.ts
import { readFileSync, readlinkSync } from "node:fs";

// src/user-agent/file-system.ts
function systemCode(error) {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
async function unlinkIfThere(fileSystem, path) {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}

// src/user-agent/directory-lock.ts
async function lockDirectory(directory, fileSystem, processes) {
  const path = `${directory}/lock`;
  const self = formatIdentity(processes.self());
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await create(fileSystem, path, self)) return () => release(fileSystem, path, self);
    if (await isHeld(fileSystem, path, processes)) break;
    const takeover = `${directory}/lock.takeover`;
    if (!await create(fileSystem, takeover, self)) {
      if (await isHeld(fileSystem, takeover, processes)) break;
      await unlinkIfThere(fileSystem, takeover);
      continue;
    }
    try {
      if (!await isHeld(fileSystem, path, processes)) await unlinkIfThere(fileSystem, path);
    } finally {
      await unlinkIfThere(fileSystem, takeover);
    }
  }
  throw new GodwitError("ERR_JOURNAL_IN_USE", `another process uses ${directory}`);
}
async function create(fileSystem, path, content) {
  try {
    await fileSystem.symlink(content, path);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}
async function isHeld(fileSystem, path, processes) {
  const holder = parseIdentity(await fileSystem.readlink(path).catch(() => ""));
  return holder !== null && processes.isRunning(holder);
}
function formatIdentity({ pid, startTicks, bootId }) {
  return `${pid}.${startTicks}.${bootId}`;
}
function parseIdentity(text) {
  const match = /^([1-9]\d{0,9})\.(\d*)\.([\w-]*)$/.exec(text);
  if (match === null) return null;
  const [, pid = "", startTicks = "", bootId = ""] = match;
  return { pid: Number(pid), startTicks, bootId };
}
async function release(fileSystem, path, self) {
  if (await fileSystem.readlink(path).catch(() => "") === self) await unlinkIfThere(fileSystem, path);
}

// src/user-agent/process-table.ts
function processTable({ pid, isThere, readText: readText2 }) {
  const bootId = () => readText2("/proc/sys/kernel/random/boot_id").trim();
  const statOf = (other) => statusOf(readText2(`/proc/${other}/stat`));
  return {
    self: () => ({ pid, startTicks: statOf(pid).startTicks, bootId: bootId() }),
    isRunning(identity) {
      if (identity.bootId !== bootId() || !isThere(identity.pid)) return false;
      const { startTicks, isDead } = statOf(identity.pid);
      if (isDead) return false;
      return startTicks === "" || startTicks === identity.startTicks;
    }
  };
}
function statusOf(stat2) {
  const fields = stat2.slice(stat2.lastIndexOf(")") + 2).split(" ");
  const [state = ""] = fields;
  return {
    startTicks: fields[19] ?? "",
    /** Ended, and only waiting for a parent that may never ask (a container whose first process does not reap). */
    isDead: state === "Z" || state === "X"
  };
}

// src/node/system-processes.ts
var readText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
var systemProcesses = processTable({
  pid: process.pid,
  isThere(pid) {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return systemCode(error) !== "ESRCH";
    }
  },
  readText
});

// src/push-service/store/lmdb-lock.ts
async function lockStore(directory) {
  mkdirSync(directory, { recursive: true, mode: 448 });
  try {
    return await lockDirectory(directory, nodeFileSystem, systemProcesses);
  } catch (error) {
    if (!(error instanceof GodwitError && error.code === "ERR_JOURNAL_IN_USE")) throw error;
    throw new GodwitError(error.code, `another push service uses ${directory}`);
  }
}

// src/push-service/store/lmdb.ts
async function openLmdbStore(options) {
  const unlock = await lockStore(options.directory);
  return openLocked(options, unlock).catch(async (error) => {
    await unlock();
    throw error;
  });
}
async function openLocked(options, unlock) {
  const database = open2({
    path: options.directory,
    noSubdir: false,
    encoding: "msgpack",
    keyEncoding: "binary",
    // With it a transaction returns before its flush; the group commit relies on the opposite.
    overlappingSync: false,
    cache: false
  });
  chmodSync(options.directory, 448);
  const meta = database.get(metaKey());
  if (meta !== void 0 && meta[0] !== FORMAT_VERSION) {
    await database.close();
    throw new GodwitError("ERR_STORE", `store format ${meta[0]} is not ${FORMAT_VERSION}`);
  }
  const epoch = meta?.[1] ?? newStoreEpoch();
  const store = new LmdbStore(database, epoch, unlock, options);
  try {
    if (meta === void 0) await store.writeMeta();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}
var LmdbStore = class {
  epoch;
  #database;
  #group;
  #devices;
  #quota;
  #unlock;
  /** Names this run of the service in the messages it stores. */
  #instance = newStoreEpoch();
  #isClosed = false;
  constructor(database, epoch, unlock, options) {
    this.#database = database;
    this.epoch = epoch;
    this.#unlock = unlock;
    this.#quota = options.quota ?? DEVICE_QUOTA;
    this.#devices = new LmdbDevices(database);
    const transactionSync = (run) => database.transactionSync(() => this.#devices.within(run));
    this.#group = new GroupCommit({ ...options, database: { transactionSync } });
  }
  /** Called once, for a new store. */
  writeMeta() {
    return this.#group.run(() => {
      this.#put(metaKey(), [FORMAT_VERSION, this.epoch]);
    });
  }
  createDevice(uaid, nowMs, dialect = "godwit.v1") {
    return this.#group.run(() => {
      if (this.#device(uaid) !== null) return;
      const times = { createdMs: nowMs, seenMs: nowMs };
      const dueMs = deviceExpiryMs(times, false);
      const state = { dialect, tokenGeneration: 0, lastMessageId: 0, lastChannel: 0 };
      this.#putDevice(uaid, { ...times, ...state, channels: 0, messages: 0, messageBytes: 0, dueMs });
      this.#put(dueKey(dueMs, uaid), true);
    });
  }
  async getDevice(uaid) {
    this.#check();
    return this.#device(uaid);
  }
  raiseTokenGeneration(uaid, generation) {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      if (device === null || device.tokenGeneration >= generation) return;
      this.#putDevice(uaid, { ...device, tokenGeneration: generation });
    });
  }
  noteSeen(uaid, nowMs) {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      if (device !== null && device.seenMs < nowMs) this.#putDevice(uaid, { ...device, seenMs: nowMs });
    });
  }
  removeDevice(uaid) {
    return this.#group.runFreeing(() => this.#removeDevice(uaid));
  }
  register(uaid, registrationId, applicationServerKey, nowMs) {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      if (device === null) return { outcome: "gone" };
      const live2 = this.#database.get(registrationKey(uaid, registrationId));
      const existing = live2 === void 0 ? null : this.#channel(uaid, live2);
      if (existing !== null) {
        if (!sameKey(existing.applicationServerKey, applicationServerKey)) return { outcome: "conflict" };
        return { outcome: "registered", channel: existing.channel, created: false };
      }
      if (device.channels >= SUBSCRIPTIONS_MAX) return { outcome: "tooMany" };
      const channel = device.lastChannel + 1;
      this.#putDevice(uaid, { ...device, lastChannel: channel, channels: device.channels + 1 });
      this.#put(registrationKey(uaid, registrationId), channel);
      const record = { registrationId, applicationServerKey, createdMs: nowMs, revoked: null };
      this.#put(channelKey(uaid, channel), channelValue(record));
      return { outcome: "registered", channel, created: true };
    });
  }
  async channels(uaid) {
    this.#check();
    return [...this.#database.getRange(channelKeys(uaid))].map(
      ({ key: key2, value }) => channelRecord(channelOfChannelKey(key2), value)
    );
  }
  async getChannel(uaid, channel) {
    this.#check();
    return this.#channel(uaid, channel);
  }
  unregister(uaid, channel) {
    return this.#group.runFreeing(() => {
      const record = this.#endChannel(uaid, channel);
      if (record === null) return false;
      this.#remove(channelKey(uaid, channel));
      const device = this.#device(uaid);
      if (device !== null) this.#putDevice(uaid, { ...device, channels: device.channels - 1 });
      return true;
    });
  }
  revoke(uaid, channel, reason) {
    return this.#group.runFreeing(() => {
      const record = this.#channel(uaid, channel);
      if (record === null || record.revoked !== null) return false;
      this.#endChannel(uaid, channel);
      this.#put(channelKey(uaid, channel), channelValue({ ...record, revoked: reason }));
      return true;
    });
  }
  putMessage(uaid, channel, message) {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      const isLive = isLiveChannel(this.#database.get(channelKey(uaid, channel)));
      if (device === null || !isLive) return { outcome: "gone" };
      if (message.ttlS === 0) {
        this.#putDevice(uaid, { ...device, lastMessageId: device.lastMessageId + 1 });
        return { outcome: "stored", id: device.lastMessageId + 1, replacedId: null };
      }
      return this.#store(uaid, channel, message);
    });
  }
  async messages(uaid, query) {
    this.#check();
    const found = [];
    for (const message of this.#messagesOf(uaid, query.afterId + 1, ID_MAX)) {
      if (message.expiresMs <= query.nowMs) continue;
      if (found.length === query.limit) return { messages: found, complete: false };
      found.push(message);
    }
    return { messages: found, complete: true };
  }
  ack(uaid, ranges) {
    return this.#group.runFreeing(() => {
      let removed = 0;
      for (const [first, last] of ranges) {
        const named = this.#places(uaid, first, last);
        for (const message of named) this.#removeMessage(uaid, message);
        removed += named.length;
      }
      return removed;
    });
  }
  withdraw(uaid, channel, id) {
    return this.#group.runFreeing(() => {
      const message = this.#place(uaid, id);
      if (message?.channel !== channel) return false;
      this.#removeMessage(uaid, message);
      return true;
    });
  }
  async countMessages() {
    return this.#database.getKeysCount(allMessageKeys());
  }
  async countDevices() {
    this.#check();
    return this.#database.getKeysCount(deviceKeys());
  }
  async expire(nowMs) {
    let messages = 0;
    for (; ; ) {
      const removed = await this.#group.runFreeing(() => this.#expireBatch(nowMs));
      messages += removed;
      if (removed < EXPIRE_BATCH_MAX) break;
    }
    const devices = [];
    for (; ; ) {
      const { looked, forgotten } = await this.#group.runFreeing(() => this.#lookAtDue(nowMs));
      devices.push(...forgotten);
      if (looked < DEVICES_LOOKED_AT_MAX) break;
    }
    return { messages, devices };
  }
  async close() {
    await this.#group.close();
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#database.close();
    await this.#unlock();
  }
  /** The rest of putMessage: topic, quota, then the records. Nothing is changed when the answer is "quota". */
  #store(uaid, channel, message) {
    const topic = message.topic === null ? null : topicKey(uaid, channel, message.topic);
    const replacedId = topic === null ? void 0 : this.#database.get(topic);
    const replaced = replacedId === void 0 ? null : this.#place(uaid, replacedId);
    if (!this.#makeRoom(uaid, message, replaced)) return { outcome: "quota" };
    if (replaced !== null) this.#removeMessage(uaid, replaced);
    const device = this.#device(uaid);
    if (device === null) return { outcome: "gone" };
    const id = device.lastMessageId + 1;
    this.#putDevice(uaid, {
      ...device,
      lastMessageId: id,
      messages: device.messages + 1,
      messageBytes: device.messageBytes + quotaBytes(message)
    });
    this.#put(messageKey(uaid, id), messageValue(channel, message, this.#instance));
    this.#put(expiryKey(message.receivedMs + message.ttlS * 1e3, uaid, id), true);
    if (topic !== null) this.#put(topic, id);
    return { outcome: "stored", id, replacedId: replaced?.id ?? null };
  }
  // Expired messages go by the index of expiry, whosever they are: looking through the device's own would cost that each time.
  /** True when `message` fits once `replaced` is gone, after dropping expired messages when it would not. */
  #makeRoom(uaid, message, replaced) {
    const fits = () => {
      const device = this.#device(uaid);
      const freed = replaced === null ? null : this.#place(uaid, replaced.id);
      const freedBytes = freed?.quotaBytes ?? 0;
      return device !== null && device.messages + 1 - (freed === null ? 0 : 1) <= this.#quota.messagesMax && device.messageBytes + quotaBytes(message) - freedBytes <= this.#quota.messageBytesMax;
    };
    while (!fits()) if (this.#expireBatch(message.receivedMs) === 0) return false;
    return true;
  }
  /** Removes messages and registration id of a channel and returns its record, still stored; null when unknown. */
  #endChannel(uaid, channel) {
    const record = this.#channel(uaid, channel);
    if (record === null) return null;
    const messages = this.#device(uaid)?.messages === 0 ? [] : this.#places(uaid, 1, ID_MAX);
    for (const message of messages) if (message.channel === channel) this.#removeMessage(uaid, message);
    const registration = registrationKey(uaid, record.registrationId);
    if (this.#database.get(registration) === channel) this.#remove(registration);
    return record;
  }
  #removeDevice(uaid) {
    const device = this.#device(uaid);
    if (device === null) return;
    for (const message of this.#places(uaid, 1, ID_MAX)) this.#removeMessage(uaid, message);
    for (const { key: key2 } of [...this.#database.getRange(channelKeys(uaid))]) {
      this.#endChannel(uaid, channelOfChannelKey(key2));
      this.#remove(Uint8Array.from(key2));
    }
    this.#remove(dueKey(device.dueMs, uaid));
    this.#devices.put(uaid, null);
  }
  #removeMessage(uaid, message) {
    this.#remove(messageKey(uaid, message.id));
    this.#remove(expiryKey(message.expiresMs, uaid, message.id));
    if (message.topic !== null) {
      const topic = topicKey(uaid, message.channel, message.topic);
      if (this.#database.get(topic) === message.id) this.#remove(topic);
    }
    const device = this.#device(uaid);
    if (device === null) return;
    const messageBytes = device.messageBytes - message.quotaBytes;
    this.#putDevice(uaid, { ...device, messages: device.messages - 1, messageBytes });
  }
  #expireBatch(nowMs) {
    const due = [...this.#database.getKeys({ ...expiryKeysUntil(nowMs), limit: EXPIRE_BATCH_MAX })];
    for (const key2 of due) {
      const { uaid, id } = partsOfExpiryKey(key2);
      const message = this.#place(uaid, id);
      if (message !== null) this.#removeMessage(uaid, message);
      else this.#remove(Uint8Array.from(key2));
    }
    return due.length;
  }
  /** Looks at devices whose time may have come: forgets them, or notes when to look again. */
  #lookAtDue(nowMs) {
    const due = [...this.#database.getKeys({ ...dueKeysUntil(nowMs), limit: DEVICES_LOOKED_AT_MAX })];
    const forgotten = [];
    for (const key2 of due) {
      const uaid = uaidOfDueKey(key2);
      this.#remove(Uint8Array.from(key2));
      const device = this.#device(uaid);
      if (device === null) continue;
      const dueMs = deviceExpiryMs(device, device.lastChannel > 0);
      if (dueMs <= nowMs) {
        this.#removeDevice(uaid);
        forgotten.push(uaid);
      } else {
        this.#put(dueKey(dueMs, uaid), true);
        this.#putDevice(uaid, { ...device, dueMs });
      }
    }
    return { looked: due.length, forgotten };
  }
  #device(uaid) {
    return this.#devices.get(uaid);
  }
  #putDevice(uaid, state) {
    this.#devices.put(uaid, state);
  }
  #channel(uaid, channel) {
    const value = this.#database.get(channelKey(uaid, channel));
    return value === void 0 ? null : channelRecord(channel, value);
  }
  #place(uaid, id) {
    const value = this.#database.get(messageKey(uaid, id));
    return value === void 0 ? null : messagePlace(id, value);
  }
  /** Of the messages with ids in [first, last]. Most often that is one: a cursor would cost more than all the rest. */
  #places(uaid, first, last) {
    if (first === last) {
      const place = this.#place(uaid, first);
      return place === null ? [] : [place];
    }
    return [...this.#database.getRange(messageKeys(uaid, first, last))].map(
      ({ key: key2, value }) => messagePlace(idOfMessageKey(key2), value)
    );
  }
  *#messagesOf(uaid, first, last) {
    for (const { key: key2, value } of this.#database.getRange(messageKeys(uaid, first, last))) {
      yield storedMessage(idOfMessageKey(key2), value, this.#instance);
    }
  }
  /** The promise is for asynchronous writes; inside a synchronous transaction the write is done on return. */
  #put(key2, value) {
    void this.#database.put(key2, value);
  }
  /** Like {@link #put}. */
  #remove(key2) {
    void this.#database.remove(key2);
  }
  #check() {
    if (this.#isClosed) throw new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }
};

// bench/battery/seeded-random.ts
function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = state + 1831565813 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

// test/simulation/chance.ts
var Chance = class {
  /** In [0, 1). */
  next;
  constructor(seed, name) {
    let hash = (seed ^ 2166136261) >>> 0;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619) >>> 0;
    this.next = seededRandom(hash);
  }
  /** An integer from `min` to `max`. */
  integer(min, max) {
    return min + Math.floor(this.next() * (max - min + 1));
  }
  is(probability) {
    return this.next() < probability;
  }
  pick(...items) {
    return items[Math.floor(this.next() * items.length)];
  }
  fill(target) {
    for (let i = 0; i < target.length; i++) target[i] = Math.floor(this.next() * 256);
  }
};

// test/simulation/lmdb-history.ts
var DEVICES = 3;
var REGISTRATIONS = 5;
var START_MS = 17e11;
var STEP_MS = 1e3;
var TTLS_S = [0, 20, 259200, 259200, 259200];
var BODY_BYTES = [0, 20, 600, 3e3, 4096, 9e3];
function makeHistory(seed, groups) {
  const chance = new Chance(seed, "history");
  const first = uaids().map(
    (uaid) => (store) => store.createDevice(uaid, START_MS)
  );
  return [
    first,
    ...Array.from({ length: groups }, (_, at) => {
      const nowMs = START_MS + (at + 1) * STEP_MS;
      if (chance.is(0.05)) return [(store) => store.expire(nowMs)];
      return Array.from({ length: chance.pick(1, 1, 2, 5, 12) }, () => drawOperation(chance, nowMs));
    })
  ];
}
function drawOperation(chance, nowMs) {
  const uaid = uaidOf(chance.integer(0, DEVICES - 1));
  const channel = chance.integer(1, REGISTRATIONS);
  const kind = chance.pick("put", "put", "put", "put", "ack", "ack", "register", "register", "other");
  if (kind === "put") {
    const body = new Uint8Array(chance.pick(...BODY_BYTES));
    chance.fill(body);
    const message = {
      ttlS: chance.pick(...TTLS_S),
      urgency: chance.pick("low", "normal", "high"),
      topic: chance.is(0.2) ? chance.pick("score", "news") : null,
      saysNotification: chance.is(0.2),
      body: body.length === 0 ? null : body,
      receivedMs: nowMs
    };
    return (store) => store.putMessage(uaid, channel, message);
  }
  const first = chance.integer(1, 60);
  if (kind === "ack") {
    const ranges = [[first, first + chance.pick(0, 0, 3, 20)]];
    return (store) => store.ack(uaid, ranges);
  }
  const registrationId = uaidOf(100 + channel);
  const key2 = chance.is(0.5) ? new Uint8Array(65).fill(channel) : null;
  if (kind === "register") return (store) => store.register(uaid, registrationId, key2, nowMs);
  return chance.pick(
    (store) => store.createDevice(uaid, nowMs, "autopush"),
    (store) => store.removeDevice(uaid),
    (store) => store.unregister(uaid, channel),
    (store) => store.revoke(uaid, channel, "expired"),
    (store) => store.withdraw(uaid, channel, first),
    (store) => store.noteSeen(uaid, nowMs),
    (store) => store.raiseTokenGeneration(uaid, channel)
  );
}
async function contentOf(store) {
  const devices = await Promise.all(
    uaids().map(async (uaid) => {
      const { messages } = await store.messages(uaid, { afterId: 0, limit: 1e4, nowMs: 0 });
      return {
        device: known(await store.getDevice(uaid)),
        channels: (await store.channels(uaid)).sort((a, b) => a.channel - b.channel),
        // Whether an earlier run sent it is the store's guess.
        messages: messages.map(({ mayHaveBeenSent: _, ...message }) => message)
      };
    })
  );
  return JSON.stringify([await store.countDevices(), await store.countMessages(), devices], (_, value) => {
    if (value instanceof Uint8Array) return hexEncode(value);
    const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
    return isRecord ? Object.fromEntries(Object.entries(value).sort()) : value;
  });
}
function known(device) {
  if (device === null) return null;
  const { createdMs, seenMs, dialect, tokenGeneration, lastMessageId, messages, messageBytes } = device;
  return { createdMs, seenMs, dialect, tokenGeneration, lastMessageId, messages, messageBytes };
}
function uaids() {
  return Array.from({ length: DEVICES }, (_, at) => uaidOf(at));
}
function uaidOf(number) {
  return new Uint8Array(16).fill(number + 1);
}

// test/simulation/lmdb-process.ts
async function perform(task) {
  if (task.type === "live") return live(task);
  for (const directory of task.directories) {
    const store = await openLmdbStore({ directory, freeBytesMin: 0 });
    const content = await contentOf(store);
    await store.createDevice(new Uint8Array(16).fill(99), 1);
    await store.close();
    console.log(digestOf(content));
  }
}
function digestOf(content) {
  return createHash("sha256").update(content).digest("hex");
}
async function live({ directory, seed, groups, progressFile, logFile }) {
  const tell = (group, type) => {
    const logBytes = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
    appendFileSync(progressFile, `${JSON.stringify({ group, type, logBytes })}
`);
  };
  const store = await openLmdbStore({ directory, freeBytesMin: 0 });
  for (const [group, operations] of makeHistory(seed, groups).entries()) {
    tell(group, "asked");
    const outcomes = await Promise.allSettled(operations.map((operation) => operation(store)));
    tell(group, outcomes.every(({ status }) => status === "fulfilled") ? "answered" : "refused");
  }
  await store.close();
}

// <stdin>
await perform(JSON.parse(process.env.LMDB_TASK));
