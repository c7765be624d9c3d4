// SPDX-License-Identifier: MIT
/**
 * Every bound of Godwit, with its unit in its name. Pure data: a number that limits something stands here and nowhere else.
 */

// --- Messages (RFC 8030 §7.2, RFC 8291 §4) ---
/** Body every push service must carry: 86 header + 4010 record bytes. */
export const MESSAGE_BODY_BYTES_MAX = 4096;
/** Largest plaintext that fits {@link MESSAGE_BODY_BYTES_MAX}. */
export const MESSAGE_PLAINTEXT_BYTES_MAX = 3993;
/** Nesting a declarative message may have before it counts as opaque. */
export const JSON_DEPTH_MAX = 64;
/** Actions a notification keeps (Notification.maxActions). */
export const NOTIFICATION_ACTIONS_MAX = 2;
/** Code points of a title shown to a person. */
export const TITLE_CODE_POINTS_MAX = 128;
/** Code points of a body shown to a person. */
export const BODY_CODE_POINTS_MAX = 1024;

// --- Frames ---
/** One frame: a message body, its metadata, and room for an endpoint. */
export const FRAME_BYTES_MAX = 16_384;
/** Arrays and maps inside each other in one frame. */
export const CBOR_DEPTH_MAX = 8;
/** Data items in one frame; a channel list of {@link SUBSCRIPTIONS_MAX} entries fits. */
export const CBOR_ITEMS_MAX = 12_288;
/** Messages sent and unacknowledged per device. */
export const MESSAGES_IN_FLIGHT_MAX = 64;
/** Id ranges in one Ack frame. */
export const ACK_RANGES_MAX = 64;
/** Largest message id and channel number: exact in a double. */
export const ID_MAX = Number.MAX_SAFE_INTEGER;
export const CHANNEL_MAX = 0xffff_ffff;

// --- Subscriptions ---
/** Channels of one device. */
export const SUBSCRIPTIONS_MAX = 10_000;
/** Registrations of one owner. */
export const SUBSCRIPTIONS_PER_OWNER_MAX = 32;
export const OWNER_CHARS_MAX = 256;
export const WA_TOKEN_CHARS_MAX = 256;
export const ENDPOINT_CHARS_MAX = 1024;
export const UA_TOKEN_CHARS_MAX = 512;

// --- Time-outs and durations of the user agent ---
export const TOKEN_TIMEOUT_MS = 15_000;
export const OPEN_TIMEOUT_MS = 20_000;
export const HELLO_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 10_000;
/** An acknowledgement waits for other traffic at most this long (DESIGN section 4). */
export const ACK_DELAY_MS_MAX = 5_000;
/** Handler budget of a mutable message. */
export const TRANSFORM_BUDGET_MS = 10_000;
export const TRANSFORM_BUDGET_MS_MAX = 30_000;
/** Handler budget of an opaque message before it counts as one failed delivery. */
export const HANDLER_BUDGET_MS = 30_000;
/** Failed deliveries of one opaque message before it is acknowledged all the same (Push API: at least three). */
export const DELIVERY_ATTEMPTS_MAX = 3;
/** A link that stayed up this long resets the back-off. */
export const LINK_STABLE_MS = 60_000;
export const BACKOFF_BASE_MS = 1_000;
export const BACKOFF_CAP_MS = 600_000;
export const HEARTBEAT_DEFAULT_MS = 240_000;
export const PONG_TIMEOUT_MS = 10_000;
/** Largest time span an alarm may be set ahead. */
export const ALARM_AHEAD_MS_MAX = 400 * 24 * 3600 * 1000;

// --- State on the device ---
/** Handled message ids remembered; more than a service may have in flight. */
export const DEDUPE_IDS_MAX = 256;
/** Messages of one owner waiting in the journal before its channels are held. */
export const INBOX_MESSAGES_PER_OWNER_MAX = 32;
/** Held channels flow again when this many or fewer wait. */
export const INBOX_MESSAGES_PER_OWNER_RESUME = 8;
/** Notifications kept until closed, per owner; the oldest goes first. */
export const NOTIFICATIONS_PER_OWNER_MAX = 32;
/** One journal record, framed. */
export const JOURNAL_RECORD_BYTES_MAX = 32_768;
/** A segment is compacted when it has grown to this many bytes and to twice its last checkpoint. */
export const JOURNAL_COMPACT_BYTES_MIN = 65_536;
/** Room kept on flash so that opt-out and unregister work when it is full. */
export const JOURNAL_RESERVE_BYTES = 65_536;
/** A segment larger than this is not read: it is not ours. */
export const JOURNAL_SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
