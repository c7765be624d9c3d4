// SPDX-License-Identifier: MIT
/** The bounds of the push service; a part of limits.ts, which hands them on. Pure data. */

// --- Push service: messages ---
/** A longer TTL is cut to this, 30 days (RFC 8030 §5.2 allows it; the TTL header of the answer says so). */
export const TTL_S_MAX = 2_592_000;
/** RFC 8030 §5.4. */
export const TOPIC_CHARS_MAX = 32;
/** Messages stored for one device; one more is refused with 429. */
export const DEVICE_MESSAGES_MAX = 1_000;
/** Bytes stored for one device: bodies, their headers in `aesgcm`, and {@link STORED_MESSAGE_OVERHEAD_BYTES} each. */
export const DEVICE_MESSAGE_BYTES_MAX = 4_194_304;
/** What a stored message counts beside its body. */
export const STORED_MESSAGE_OVERHEAD_BYTES = 128;
/** POSTs to one endpoint: the burst, and what it refills by. */
export const ENDPOINT_POSTS_BURST_MAX = 300;
export const ENDPOINT_POSTS_PER_MINUTE_MAX = 600;
/** POSTs to all endpoints of one device: as many at once as are stored for it, and what it refills by. */
export const DEVICE_POSTS_BURST_MAX = 1_000;
export const DEVICE_POSTS_PER_MINUTE_MAX = 2_400;
/** Requests of one address whose endpoint, Location or authorization is no good: the burst, and what it refills by. A signature takes 0.2 ms to check. */
export const REFUSALS_PER_ADDRESS_BURST_MAX = 600;
export const REFUSALS_PER_ADDRESS_PER_MINUTE_MAX = 600;
/** Verified tokens remembered: a sender uses one for hours, and a look-up costs a hundredth of the signature. */
export const VAPID_TOKENS_REMEMBERED_MAX = 4_096;
/** How far ahead the `exp` of a revoke token may lie. */
export const REVOKE_EXPIRY_AHEAD_S_MAX = 300;
/** Revoke tokens remembered until they expire, so that each works once; at this many further ones get 503. */
export const REVOKE_TOKENS_REMEMBERED_MAX = 100_000;
/** A 503 asks the sender to come back after this. */
export const STORE_RETRY_AFTER_S = 120;

// --- Push service: store ---
/** A device that never registered anything is forgotten after this. */
export const DEVICE_UNUSED_MS_MAX = 30 * 24 * 3600 * 1000;
/** A device that was not connected for this long is forgotten, whatever it registered. */
export const DEVICE_UNSEEN_MS_MAX = 60 * 24 * 3600 * 1000;
/** That a device was seen is written down again after this, so that a connect costs no write. */
export const DEVICE_SEEN_STEP_MS = 24 * 3600 * 1000;
/** Expired messages removed in one transaction. */
export const EXPIRE_BATCH_MAX = 1_000;
/** Devices looked at in one transaction, whether they were seen: each may go with all its messages. */
export const DEVICES_LOOKED_AT_MAX = 50;
/** Operations of one group commit. */
export const GROUP_COMMIT_OPERATIONS_MAX = 1_024;
/** Below this much free disk nothing is written any more: a failed write inside LMDB can take the process with it. */
export const STORE_FREE_BYTES_MIN = 67_108_864;
export const STORE_FREE_CHECK_MS = 1_000;

// --- Push service: Redis Cluster ---
/** A connection to Redis from which nothing comes for this long while an answer is owed is ended. */
export const REDIS_ANSWER_TIMEOUT_MS = 2_000;
/** Operations written before a replica is waited for. */
export const REDIS_BATCH_MAX = 512;
/** One wait for a replica, below {@link REDIS_ANSWER_TIMEOUT_MS}, and all of them together; also how long one write waits for others'. */
export const REDIS_REPLICA_TIMEOUT_MS = 500;
export const REDIS_REPLICA_WAIT_MS = 2_000;
/** An operation is tried again this long after a failure that passes: a failover, a slot on its way, a lost connection. */
export const REDIS_RETRY_DELAY_MS = 100;
export const REDIS_RETRY_MS_MAX = 10_000;
/** A primary that does not answer a read within this is away, as far as readiness goes. */
export const REDIS_READY_MS_MAX = 1_000;
/** Nodes asked at once who has which slots, and redirections followed without a pause. */
export const REDIS_ASKED_MAX = 9;
export const REDIS_REDIRECTS_MAX = 3;
/** Operations of one shard under way; one more fails. */
export const REDIS_PENDING_MAX = 10_000;
/** How long it is known that a message was put or a device claimed, so that doing it once more does nothing: all tries, and what they wait for. */
export const REDIS_OPERATION_REMEMBERED_MS = 30_000;
/** More message ids than one device can be given by a primary that lost its replica. */
export const REDIS_MESSAGE_ID_GAP = 1_048_576;
/** Slots looked at by one script: about a millisecond. */
export const REDIS_SLOTS_PER_SCRIPT_MAX = 1_024;
/** Devices that one such script finds to sweep, and how many are swept at once. */
export const REDIS_DUE_PER_SCRIPT_MAX = 1_000;
export const REDIS_SWEEP_BATCH_MAX = 64;
/** Settings, clocks and who has which slots are looked at again after this. */
export const REDIS_CHECK_INTERVAL_MS = 60_000;
/** This machine's clock and those of Redis may differ by this much. */
export const REDIS_CLOCK_SKEW_MS_MAX = 30_000;
/** A node tells itself something over Redis this often; when it did not hear it for so long, it does not hear of messages either. */
export const FLEET_BEAT_MS = 1_000;
export const FLEET_DEAF_MS = 3_000;
/** A node deaf for this long sends its devices to the others; where none of Redis answers, only after the second. */
export const FLEET_DEAF_MS_MAX = 30_000;
export const FLEET_CUT_OFF_MS_MAX = 300_000;
/** The node that acted on something all of them heard is the one to act on the next of its kind for this long. */
export const FLEET_ELECTED_MS = 5_000;
/** A node that something did not reach is told every {@link FLEET_BEAT_MS} to read the store, until so often nobody was there. */
export const FLEET_UNHEARD_MAX = 10;
/** Devices whose stored messages are read again at once, when news of them may have been missed; the next so many after this at most. */
export const FLEET_REREAD_BATCH = 200;
export const FLEET_REREAD_MS_MAX = 1_000;
/** Words of another version of the push service make all be read again no more often than this. */
export const FLEET_FOREIGN_MS = 10_000;
/** What a session could not read from a store that many nodes have is read again after this. */
export const STORE_RETRY_MS = 5_000;

// --- Push service: device sessions ---
/** Malformed frames on one link before the service closes it. */
export const ERRORS_PER_LINK_MAX = 8;
/** Requests of one device the store has not answered yet. */
export const SESSION_OPERATIONS_MAX = 64;
/** GetAllMessages waiting for their Drained. */
export const DRAINS_PENDING_MAX = 16;
/** A low-urgency message goes at the latest this long before its TTL ends. */
export const LOW_URGENCY_MARGIN_MS = 30_000;
/** A Revoked not acknowledged goes again with the next traffic after this. */
export const REVOKED_REPEAT_MS = 600_000;
/** A silent link lives heartbeat × 1.5 + this. */
export const IDLE_GRACE_MS = 30_000;
/** Longest heartbeat and low-urgency window a device can declare; more counts as this. */
export const HEARTBEAT_S_MAX = 86_400;
export const LOW_URGENCY_WINDOW_S_MAX = 86_400;
/** Bytes waiting on one device link before it gets no more messages. */
export const LINK_CONGESTED_BYTES = 131_072;
/** A WebSocket that is closed has this long to take what is queued, its close frame last, and to answer that. */
export const WEBSOCKET_CLOSE_MS = 10_000;
/** Frames of one device: the burst, and what it refills by. */
export const LINK_FRAMES_BURST_MAX = 1_000;
export const LINK_FRAMES_PER_SECOND_MAX = 100;
/** A frame after which the device's stored messages are read again counts as this many. */
export const REREAD_FRAME_WEIGHT = 20;
/** RegisterUA frames of one device over MQTT: the burst, and what it refills by. */
export const MQTT_REGISTRATIONS_BURST_MAX = 20;
export const MQTT_REGISTRATIONS_PER_MINUTE_MAX = 10;
/** An MQTT device that entered says RegisterUA within this. */
export const MQTT_REGISTER_TIMEOUT_MS = 60_000;
/** One MQTT packet of a device that is neither CONNECT nor PUBLISH: SUBSCRIBE to its own topic takes 52. */
export const MQTT_CONTROL_BYTES_MAX = 256;
/** At an external broker, where a device without a last will goes unnoticed, a longer heartbeat counts as this. */
export const MQTT_BROKER_HEARTBEAT_S_MAX = 3_600;
/** A device that sends too much is kept away from an external broker for this; it is told to stay away longer. */
export const MQTT_FLOOD_BAN_MS = 30_000;
/** A command an external broker has not answered by then is given again. */
export const MQTT_COMMAND_TIMEOUT_MS = 5_000;
/** Devices for which something waits when an external broker is back are told to come spread out to so many a second. */
export const MQTT_RETURNS_PER_SECOND = 100;
/** Another node that served a device at an external broker is supposed to do so for this long. */
export const MQTT_ELSEWHERE_MS = 10_000;
/** The connection to an external broker is tried again after this. */
export const MQTT_BROKER_RECONNECT_MS = 1_000;
/** An external broker is asked to know a device within this, or the device learns its credentials without. */
export const MQTT_PROVISION_TIMEOUT_MS = 2_000;
/** Provisioning commands waiting for an external broker that is away. */
export const MQTT_PROVISIONS_PENDING_MAX = 10_000;
/** Canary links of one device at a time. */
export const CANARIES_PER_DEVICE_MAX = 8;
/** A canary is closed after this: one whose network died silently would stay for ever. */
export const CANARY_LIFETIME_MS = 24 * 3600 * 1000;
/** Pings of one canary at once; one a second besides. */
export const CANARY_PINGS_BURST_MAX = 100;

// --- Push service: dialect autopush, as Mozilla's service has it ---
/** From the upgrade to `hello`. */
export const AUTOPUSH_HELLO_TIMEOUT_MS = 5_000;
/** A silent device is pinged after this, and has the other to show life. */
export const AUTOPUSH_PING_MS = 300_000;
export const AUTOPUSH_PONG_TIMEOUT_MS = 4_000;
/** A device's own pings may not come closer. */
export const AUTOPUSH_APP_PING_MS_MIN = 45_000;
/** Stored messages sent before all of them have to be acknowledged. */
export const AUTOPUSH_BATCH_MAX = 10;
/** Messages read at once where those with a topic are sought. */
export const AUTOPUSH_PAGE_MAX = 64;
/** Messages sent and unacknowledged, the new ones included; more stay in the store. */
export const AUTOPUSH_IN_FLIGHT_MAX = 128;
/** Frames of a device that came before its `hello` was answered. */
export const AUTOPUSH_FRAMES_EARLY_MAX = 32;
/** A frame counts as one for each of these bytes, begun ones included. */
export const AUTOPUSH_FRAME_WEIGHT_BYTES = 4_096;

// --- Push service: tokens and HTTP ---
/** An older uaToken gets a fresh one with Registered. */
export const UA_TOKEN_REFRESH_MS = 30 * 24 * 3600 * 1000;
/** Tokens issued to one address: the burst, and what it refills by. */
export const TOKENS_PER_ADDRESS_BURST_MAX = 60;
export const TOKENS_PER_ADDRESS_PER_MINUTE_MAX = 30;
/** Addresses and endpoints whose rate is remembered; the one longest silent goes first. */
export const RATES_REMEMBERED_MAX = 100_000;
/** A sealed text: three times the longest, an endpoint with a key. */
export const SEALED_CHARS_MAX = 324;
/** Sealed texts, most of them endpoints, whose content is remembered, some 400 bytes each. A POST to one that is not costs twice as much. */
export const SEALS_REMEMBERED_MAX = 32_768;
/** Open TCP connections of one address, unless a proxy is in front. */
export const CONNECTIONS_PER_ADDRESS_MAX = 512;
/** New TCP connections of one address: the burst, and what it refills by. */
export const CONNECTIONS_PER_ADDRESS_BURST_MAX = 2_048;
export const CONNECTIONS_PER_ADDRESS_PER_MINUTE_MAX = 6_000;
/** WebSocket upgrades of one address: the burst, and what it refills by. */
export const UPGRADES_PER_ADDRESS_BURST_MAX = 512;
export const UPGRADES_PER_ADDRESS_PER_MINUTE_MAX = 600;
export const DEVICE_LINKS_MAX = 100_000;
/** Connections to the administrator's listener, and what a command may say. */
export const ADMIN_CONNECTIONS_MAX = 64;
export const ADMIN_BODY_BYTES_MAX = 4_096;
/** A shorter administrator's token is refused: this is 192 bits in base64url. */
export const ADMIN_TOKEN_CHARS_MIN = 32;
/** Links are closed in steps of this while a drain spreads them. */
export const DRAIN_STEP_MS = 100;
/** Whether the store takes messages is tried again after this, however often somebody asks. */
export const READY_CHECK_MS = 1_000;
export const HTTP_HEADER_BYTES_MAX = 16_384;
export const HTTP_HEADERS_TIMEOUT_MS = 15_000;
export const HTTP_REQUEST_TIMEOUT_MS = 30_000;
export const HTTP_KEEP_ALIVE_MS = 30_000;
export const TLS_HANDSHAKE_TIMEOUT_MS = 15_000;
/** After this a graceful stop cuts what is still open. */
export const SHUTDOWN_TIMEOUT_MS = 10_000;
/** Devices come back spread over this long after the service went away. */
export const RECONNECT_SPREAD_S = 60;
/** What is left of a refused request's body is read up to this, so that the sender sees the answer and not a reset. */
export const HTTP_DISCARD_BYTES_MAX = 65_536;
/** Validity of the development certificates: the longest that systems take, and when a new one is made. */
export const DEV_CA_DAYS = 3_650;
export const DEV_CERTIFICATE_DAYS_MAX = 824;
export const DEV_CERTIFICATE_RENEW_DAYS = 7;
/** Expired messages are swept this often. */
export const EXPIRE_INTERVAL_MS = 60_000;
