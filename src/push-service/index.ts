// SPDX-License-Identifier: MIT
/** `godwit/push-service`: what a program needs to run the push service or to put a store under it. */

export { type ErrorCode, type Fault, GodwitError } from "../errors.ts";
export type { AdminOptions } from "./admin.ts";
export { type DevCertificate, type DevCertificateOptions, loadDevCertificate } from "./dev-ca.ts";
export type { DrainOptions } from "./drain.ts";
export type { Clock } from "./endpoint.ts";
export { HTTP_ERRORS, type HttpErrorName } from "./http-errors.ts";
export {
  addKey,
  loadKeyring,
  newKeyring,
  readKeyring,
  removeKey,
  rotateKeyring,
  saveKeyring,
  useKey,
} from "./keyring.ts";
export type { Log, LogEvent } from "./log.ts";
export type { RateOptions } from "./rate-limit.ts";
export type { Keyring, SealingKey } from "./seal.ts";
export { createPushService } from "./server.ts";
export type {
  PushService,
  PushServiceOptions,
  PushServiceReload,
  PushServiceStats,
} from "./service-options.ts";
export { Session } from "./session.ts";
export type { DeviceSnapshot, SessionEffect, SessionEvent, SessionOptions } from "./session-events.ts";
export { PHASES as SESSION_PHASES } from "./session-events.ts";
export { type LmdbStoreOptions, openLmdbStore } from "./store/lmdb.ts";
export { MemoryStore } from "./store/memory.ts";
export { openRedisStore, type RedisStoreOptions } from "./store/redis-lazy.ts";
export type {
  ChannelRecord,
  DeviceQuota,
  DeviceRecord,
  Expired,
  MessagePage,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
  StoredMessage,
} from "./store/store.ts";
