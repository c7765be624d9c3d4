// SPDX-License-Identifier: MIT
/**
 * Every bound of Godwit, with its unit in its name. Pure data: a number that limits something stands here, or in service-limits.ts, and nowhere else.
 */

export * from "./service-limits.ts";

// --- Messages (RFC 8030 §7.2, RFC 8291 §4) ---
/** Body every push service must carry: 86 header + 4010 record bytes. */
export const MESSAGE_BODY_BYTES_MAX = 4096;
/** Largest plaintext that fits {@link MESSAGE_BODY_BYTES_MAX}. */
export const MESSAGE_PLAINTEXT_BYTES_MAX = 3993;
/** Body that Mozilla's push service takes, and so its user agents do: only where a subscription speaks their dialect. */
export const AUTOPUSH_BODY_BYTES_MAX = 5630;
/** An `Encryption` or `Crypto-Key` header of the legacy coding: a salt, two 65-byte keys, and room. */
export const ENCRYPTION_HEADER_CHARS_MAX = 1024;
/** Objects and arrays inside each other a declarative message may have before it counts as opaque (Gecko stops here too). */
export const JSON_DEPTH_MAX = 128;
/** Actions a notification keeps (Notification.maxActions). */
export const NOTIFICATION_ACTIONS_MAX = 2;
/** Entries of a vibration pattern, and the longest of them (Vibration API). */
export const VIBRATE_ENTRIES_MAX = 10;
export const VIBRATE_ENTRY_MS_MAX = 10_000;
/** Largest number a badge shows as such. */
export const BADGE_NUMBER_SHOWN_MAX = 99;
/** Code points of a title shown to a person. */
export const TITLE_CODE_POINTS_MAX = 128;
/** Code points of a body shown to a person. */
export const BODY_CODE_POINTS_MAX = 1024;

// --- VAPID (RFC 8292) ---
/** A whole `Authorization` header; a revoke token carries an endpoint of {@link ENDPOINT_CHARS_MAX}. */
export const VAPID_HEADER_CHARS_MAX = 4096;
/** Objects and arrays inside each other in a token's header or claims. */
export const VAPID_JSON_DEPTH_MAX = 8;
/** How far ahead `exp` may lie (RFC 8292 §2). */
export const VAPID_EXPIRY_AHEAD_S_MAX = 86_400;
/** How long past `exp` a token still counts, for clocks that differ. */
export const VAPID_EXPIRY_LEEWAY_S = 60;

// --- Frames ---
/** One frame: a message body, its metadata, and room for an endpoint. */
export const FRAME_BYTES_MAX = 16_384;
/** Arrays and maps inside each other in one frame. */
export const CBOR_DEPTH_MAX = 8;
/** Data items in one frame: more than {@link FRAME_BYTES_MAX} has room for, unless nearly all are of one byte. */
export const CBOR_ITEMS_MAX = 12_288;
/** Messages sent and unacknowledged per device. */
export const MESSAGES_IN_FLIGHT_MAX = 64;
/** Id ranges in one Ack frame. */
export const ACK_RANGES_MAX = 64;
/** Largest message id and channel number: exact in a double. */
export const ID_MAX = Number.MAX_SAFE_INTEGER;
export const CHANNEL_MAX = 0xffff_ffff;
/** One frame of dialect autopush: a `hello` that lists 1,600 channels, which old user agents send. */
export const AUTOPUSH_FRAME_BYTES_MAX = 65_536;
/** Objects and arrays inside each other in such a frame, members that nobody knows included. */
export const AUTOPUSH_JSON_DEPTH_MAX = 16;
export const AUTOPUSH_UAID_CHARS_MAX = 128;
export const AUTOPUSH_VERSION_CHARS_MAX = 1_024;
/** Close code of its older services: the device is to stay away, which is taken to mean so long. */
export const AUTOPUSH_CLOSE_AWAY = 4774;
export const AUTOPUSH_AWAY_S = 1_800;
/** Messages a device may still acknowledge; a service has fewer under way: a batch of 10, or 128 live ones. */
export const AUTOPUSH_UNACKNOWLEDGED_MAX = 256;
/** Messages acknowledged in one frame: half of a frame, were all versions of the longest. */
export const AUTOPUSH_UPDATES_MAX = 25;
/** Broadcasts in one frame, and an id or version of them. */
export const AUTOPUSH_BROADCASTS_MAX = 256;
export const AUTOPUSH_BROADCAST_CHARS_MAX = 1_024;

// --- Subscriptions ---
/** Channels of one device: their list, 5 bytes each, fits one frame with the rest of Registered. */
export const SUBSCRIPTIONS_MAX = 3_000;
/** Registrations of one owner. */
export const SUBSCRIPTIONS_PER_OWNER_MAX = 32;
/** Registrations one owner may make: ending each rewrites the whole journal, which is flash. */
export const SUBSCRIPTIONS_BURST_MAX = 64;
export const SUBSCRIPTION_REFILL_MS = 60_000;
export const OWNER_CHARS_MAX = 256;
export const WA_TOKEN_CHARS_MAX = 256;
/** A kiosk's policy file: owners, and origins of one list, it may name. */
export const POLICY_OWNERS_MAX = 1_000;
export const POLICY_ORIGINS_MAX = 100;
/** One step of `godwit doctor` on the network takes this long at most. */
export const DOCTOR_STEP_MS_MAX = 10_000;
/** What it reads of an HTTP answer. */
export const DOCTOR_RESPONSE_BYTES_MAX = 16_384;
/** A clock this far from the push service's is worth a word, and a failure. */
export const CLOCK_OFF_WARN_MS = 30_000;
export const CLOCK_OFF_FAIL_MS = 300_000;
/** A certificate that ends sooner is worth a word. */
export const CERTIFICATE_ENDS_WARN_MS = 7 * 24 * 3600 * 1000;
/** Free disk below this is worth a word. */
export const STATE_FREE_BYTES_WARN = 4_194_304;
/** Messages that show nothing an owner may have in its budget, as a policy may set it. */
export const POLICY_SILENT_PUSHES_MAX = 10_000;
export const ENDPOINT_CHARS_MAX = 1024;
export const UA_TOKEN_CHARS_MAX = 512;

// --- Time-outs and durations of the user agent ---
export const TOKEN_TIMEOUT_MS = 15_000;
export const OPEN_TIMEOUT_MS = 20_000;
export const HELLO_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 10_000;
/** An acknowledgement waits for other traffic at most this long. */
export const ACK_DELAY_MS_MAX = 5_000;
/** Handler budget of a mutable message. */
export const TRANSFORM_BUDGET_MS = 10_000;
export const TRANSFORM_BUDGET_MS_MAX = 30_000;
/** Handler budget of an opaque message before it counts as one failed delivery. */
export const HANDLER_BUDGET_MS = 30_000;
/**
 * Messages of a web origin that its app handled without showing a notification, and when one comes back: twelve a day at
 * most in the long run, as in Chromium, and a day's worth at once.
 */
export const SILENT_PUSHES_MAX = 12;
export const SILENT_PUSH_REFILL_MS = 7_200_000;
/** Messages that wait for that are not worth a wake-up of their own: within this something else wakes the device. */
export const SILENT_PUSH_WINDOW_MS = 3_600_000;
/** Failed deliveries of one opaque message before it is acknowledged all the same (Push API: at least three). */
export const DELIVERY_ATTEMPTS_MAX = 3;
/** A link that stayed up this long resets the back-off. */
export const LINK_STABLE_MS = 60_000;
export const BACKOFF_BASE_MS = 2_000;
export const BACKOFF_CAP_MS = 600_000;
/** What a service counts with for a device that declares no heartbeat. */
export const HEARTBEAT_DEFAULT_MS = 240_000;
export const HEARTBEAT_MS_MIN = 15_000;
export const HEARTBEAT_MS_MAX = 86_400_000;
/** An unanswered ping is a verdict after max(this, 4 smoothed round trips + {@link PONG_EXTRA_MS}). */
export const PONG_TIMEOUT_MS_MIN = 3_000;
export const PONG_EXTRA_MS = 1_300;
/** What an unknown network is supposed to keep, and the second guess when that was too much. */
export const HEARTBEAT_START_MS: readonly number[] = [240_000, 136_000];
/** A network that needs pings more often than this is not held: it would cost more wake-ups than an hour has. */
export const HEARTBEAT_HELD_MS_MIN = 132_000;
/** There the link is proved or made anew this often instead: about as often as the budget allows. */
export const HEARTBEAT_VISIT_MS = 124_000;
/** Alarms later than this say nothing of how alarms come on this device: it was off. */
export const ALARM_LATE_MS_MAX = 1_200_000;
/** A ping goes this much before the longest idleness that was seen, or is supposed, to survive. */
export const HEARTBEAT_GUARD_MS = 2_000;
/** Kept clear of the service's idle limit: two lost segments' worth of retransmission. */
export const IDLE_MARGIN_MS = 5_000;
/** A bracket this narrow is not narrowed further. */
export const BRACKET_MS_MIN = 4_000;
/** Canaries of one link at a time; a service takes at least as many ({@link CANARIES_PER_DEVICE_MAX}). */
export const CANARIES_MAX = 5;
/** Canaries in a row that cannot be opened, and there are no more on this link. */
export const CANARIES_FAILED_MAX = 3;
/** Networks remembered; the one longest not used goes first. */
export const NETWORKS_MAX = 32;
export const NETWORK_LABEL_CHARS_MAX = 128;
/** What is known of a network is forgotten when nothing has confirmed it for this long. */
export const NETWORK_KNOWLEDGE_MS_MAX = 30 * 24 * 3600 * 1000;
/** Main links lost while growing the interval without canaries, per network. */
export const GROWTH_LOSSES_MAX = 2;
/** With so many main links lost to a network, where they are held or visited, it is seldom tried whether it changed. */
export const HELD_LOSSES_MAX = 2;
export const VISITED_LOSSES_MAX = 4;
/** Longest the device may take a dead link for a live one: by the most urgent live subscription. */
export const FRESHNESS_MS = { urgent: 540_000, normal: 1_740_000, relaxed: 3_480_000 } as const;
/** Wake-ups of our own making (pings, dials, probes) in any hour. */
export const WAKE_UPS_PER_HOUR_MAX = 30;
/** With fewer of them left than this they are handed out one at a time. */
export const WAKE_UPS_UNSPACED_LEFT_MIN = 10;
/** Unless they come back this soon. */
export const WAKE_UPS_SPACING_MS_MIN = 60_000;
/** Learning leaves this many: one for a link that has to be made anew, one for a ping that is not answered. */
export const WAKE_UPS_SPARE_MIN = 2;
/** Behind a captive portal: probes at first this far apart, then every minute, from 8 min on twice as far each time. */
export const PORTAL_PROBE_MS_MIN = 20_000;
export const PORTAL_PROBE_MS = 60_000;
export const PORTAL_PATIENCE_MS = 480_000;
export const PORTAL_PROBE_MS_MAX = 3_600_000;
/** Where MQTT stands in for WebSocket, that is tried again after this long, then twice as long each time, up to the second. */
export const TRANSPORT_TRIAL_MS = 600_000;
export const TRANSPORT_TRIAL_MS_MAX = 24 * 3600 * 1000;
/** Where WebSocket worked, a closed port counts as an outage of the service for this long before MQTT is tried. */
export const TRANSPORT_PATIENCE_MS = 300_000;
/** WebSockets in a row that died before they were stable ({@link LINK_STABLE_MS}), and MQTT is taken. */
export const SHORT_LINKS_MAX = 3;
/** MQTT addresses of one push service. */
export const MQTT_URLS_MAX = 4;
/** One MQTT packet: a frame, its topic, and room. */
export const MQTT_PACKET_BYTES_MAX = 16_384 + 256;
/** An MQTT link that is closed waits this long for what is under way. */
export const MQTT_CLOSE_MS = 2_000;
/** What goes over the link within this of anything else found the radio on; longer than this few radios stay on. */
export const RADIO_TAIL_MS = 10_000;
/** A dial that nobody answers sends its first packet again until so long after the first time (RFC 6298 §5.5, from 1 s). */
export const DIAL_REPEATS_MS = 15_000;
/** An event within this of another found the processor awake. */
export const PROCESSOR_AWAKE_MS = 1_000;
/** Hours of which the wake-ups are kept, the present one included. */
export const METER_HOURS_MAX = 24;
/** How soon a dashboard tries again when the agent is gone, doubled each time. */
export const DASHBOARD_RETRY_MS_MIN = 500;
export const DASHBOARD_RETRY_MS_MAX = 30_000;
/** Reports that the Node host keeps in memory for whoever begins to watch, and that a dashboard keeps. */
export const REPORTS_KEPT_MAX = 60;
/** Rates are told once they were counted for this long: before, the first dial would be most of them. */
export const RATES_AFTER_MS = 600_000;
/** Largest battery an estimate is made for. */
export const BATTERY_MAH_MAX = 1_000_000;
export const BATTERY_V_MAX = 1_000;
/** Answer to a token request. */
export const HTTP_RESPONSE_BYTES_MAX = 16_384;
/** Bytes queued on one link before it counts as stuck. */
export const LINK_QUEUED_BYTES_MAX = 1_048_576;
/** Longest Retry-After obeyed: a day; more would be a service that never wants us back. */
export const RETRY_AFTER_S_MAX = 86_400;
/** Acknowledgements gather this long, and at most {@link ACK_GATHER_MESSAGES_MAX} of them, before they are sent. */
export const ACK_GATHER_MS = 100;
export const ACK_GATHER_WINDOW_MS = 400;
export const ACK_GATHER_MESSAGES_MAX = 16;
/** A message not handled after this goes to the journal, in time for its ack ({@link ACK_DELAY_MS_MAX}). */
export const JOURNAL_UNHANDLED_AFTER_MS = 4_000;
/** After a failed write the journal is tried again this much later, twice as long each time up to the second. */
export const JOURNAL_RETRY_MS = 30_000;
export const JOURNAL_RETRY_MS_MAX = 3_600_000;
/** An app's subscribe() is answered within this, connection or not. */
export const SUBSCRIBE_TIMEOUT_MS = 30_000;
/** Records whose loss costs little wait for company: this many at most, and this long, twice that when nothing else wakes us. */
export const JOURNAL_DEFERRED_RECORDS_MAX = 16;
export const NOTE_DELAY_MS = 30_000;
/** A failed delivery of an opaque message is tried again after this, times the failures so far. */
export const DELIVERY_RETRY_MS = 5_000;
/** After the service forgot devices, they register again spread over this long. */
export const REREGISTER_SPREAD_MS = 60_000;
/** What it refuses then is asked again after one to two times that, twice as long each time up to this. */
export const REREGISTER_RETRY_MS_MAX = 3_600_000;
/** Unanswered at a time; a service takes {@link SESSION_OPERATIONS_MAX}, which others share. */
export const REREGISTER_IN_FLIGHT_MAX = 32;
/** Registrations being ended at a time; the rest follows as the service answers. */
export const UNREGISTER_IN_FLIGHT_MAX = 32;
/** Those the service refused to end are ended no sooner than this; until then it holds messages nobody wants, no more. */
export const UNREGISTER_RETRY_MS = 600_000;
/** A registration the service was too busy for is asked for again after this. */
export const REQUEST_RETRY_MS = 5_000;
/** Subscriptions being made at one time; each waits for the service in memory. */
export const REGISTRATIONS_PENDING_MAX = 256;
// --- App socket ---
/** One request: a notification of {@link NOTIFICATION_CHARS_MAX}, three UTF-8 bytes a character, and room. */
export const APP_REQUEST_BYTES_MAX = 65_536;
/** From connecting to a `hello` that proves something. */
export const APP_HELLO_TIMEOUT_MS = 5_000;
/** A token, secret, code or session; each is shorter. */
export const APP_PROOF_CHARS_MAX = 256;
/** An `applicationServerKey`: 65 bytes as base64url are 87 characters; padding and a stray one are for its reader to judge. */
export const APPLICATION_SERVER_KEY_CHARS_MAX = 128;
/** Connections of one listener that have proved nothing yet; of more the oldest goes. */
export const APP_CONNECTIONS_PENDING_MAX = 64;
/** Connections of all apps and pages, of one of them, of shells, and of administrators. */
export const APP_CONNECTIONS_MAX = 256;
export const APP_CONNECTIONS_PER_OWNER_MAX = 16;
export const SHELL_CONNECTIONS_MAX = 8;
export const ADMIN_CONNECTIONS_MAX = 32;
/** Requests of one connection that are not answered yet. */
export const APP_REQUESTS_IN_FLIGHT_MAX = 64;
/** Requests of one owner, or one shell: the burst, and what it refills by. What is over that is not read until then. */
export const APP_REQUESTS_BURST_MAX = 256;
export const APP_REQUESTS_PER_SECOND_MAX = 64;
/** Bytes queued for one connection before it counts as stuck. */
export const APP_QUEUED_BYTES_MAX = 1_048_576;
/** What is left of a connection that was told to close is cut after this. */
export const APP_CLOSE_TIMEOUT_MS = 2_000;
/** A shell tells within this that it shows a notification, or it does not. */
export const SHELL_DISPLAY_TIMEOUT_MS = 5_000;
/** Helper programs that run at once, each with a notification or a question; the oldest is ended for one more. */
export const HELPERS_MAX = 32;
/** What waits for a helper, in front of one that has not answered. */
export const HELPER_EVENTS_WAITING_MAX = 128;
/** Of a helper's stdout. */
export const HELPER_LINE_BYTES_MAX = 16_384;
/** Links that wait for a person's word; of more the oldest is refused. */
export const NAVIGATION_QUESTIONS_MAX = 32;
/** The command line gives up on an agent that has not let it in by then. */
export const AGENT_HELLO_TIMEOUT_MS = 5_000;
/** The status goes to whoever watches at most this often. */
export const WATCH_INTERVAL_MS_MIN = 1_000;
/** The code of a dashboard link works this long, and so many may wait to be used; the session it gives lasts the other. */
export const DASHBOARD_CODE_MS_MAX = 300_000;
export const DASHBOARD_CODES_MAX = 16;
export const DASHBOARD_SESSION_MS_MAX = 12 * 3600 * 1000;
/** Of its files where they are read from a directory, each. */
export const DASHBOARD_FILE_BYTES_MAX = 1_048_576;
/** Installed apps, and the arguments of the command that starts one. */
export const INSTALLED_APPS_MAX = 512;
export const START_ARGUMENTS_MAX = 32;
export const START_ARGUMENT_CHARS_MAX = 4_096;
/** An app is started at most this often; one that ends without attaching twice as seldom each time, up to the second. */
export const START_INTERVAL_MS_MIN = 30_000;
export const START_INTERVAL_MS_MAX = 3_600_000;
/** Not sooner after it was installed: its token is still on the way into its file, and what ran before has to end. */
export const START_AFTER_INSTALL_MS = 3_000;
/** Starts in vain, and it is left alone until something new waits for it. */
export const START_TRIES_MAX = 5;
/** A started app has this long to end with the agent. */
export const START_STOP_TIMEOUT_MS = 2_000;
/** A test message that was not shown after this is given up, and its subscription ended. */
export const TEST_PUSH_MS_MAX = 30_000;

// --- Network of the device ---
/** The network is read this long after a sign of change; with each reading that found none twice as long, up to the second. */
export const NETWORK_SETTLE_MS_MIN = 300;
export const NETWORK_SETTLE_MS_MAX = 10_000;
/** The system's tools for it: what one may print, and how long it may take. */
export const NETWORK_TOOL_BYTES_MAX = 1_048_576;
export const NETWORK_TOOL_TIMEOUT_MS = 2_000;
/** The router's hardware address is looked for after this, twice as long each time up to the second: 3.2 s, three questions of ARP. */
export const NETWORK_NEIGHBOUR_WAIT_MS_MIN = 50;
export const NETWORK_NEIGHBOUR_WAIT_MS_MAX = 1_600;
/** A monitor of the network that ended is started again after this, twice as long each time; one that lasted resets that. */
export const NETWORK_MONITOR_RETRY_MS_MIN = 1_000;
export const NETWORK_MONITOR_RETRY_MS_MAX = 3_600_000;
export const NETWORK_MONITOR_STABLE_MS = 60_000;
/** Address lines remembered, so that their renewal is no news. */
export const NETWORK_LINES_REMEMBERED_MAX = 64;
export const NETWORK_LINE_CHARS_MAX = 512;
/** One message of the desktop's session bus; what a notification server sends is far smaller. */
export const DBUS_MESSAGE_BYTES_MAX = 65_536;
/** The desktop's notification server is started, and answers, within this. */
export const DBUS_CALL_TIMEOUT_MS = 10_000;
/** Greeting of the session bus, which comes before any message. */
export const DBUS_GREETING_BYTES_MAX = 1_024;
/** Largest time span an alarm may be set ahead. */
export const ALARM_AHEAD_MS_MAX = 400 * 24 * 3600 * 1000;

// --- An app at the app socket ---
/** From dialing to the answer to `hello`. */
export const APP_OPEN_TIMEOUT_MS = 10_000;
/** An app comes back within this, half as long again each time, up to the second; a connection that lasted the third resets that. */
export const APP_BACKOFF_BASE_MS = 500;
export const APP_BACKOFF_CAP_MS = 30_000;
export const APP_STABLE_MS = 10_000;
/** Requests of an app that are not answered yet; one more is refused at once. As many as the agent takes from one connection. */
export const APP_REQUESTS_MAX = 64;
/** One request as text: at three UTF-8 bytes a character the agent takes no more. */
export const APP_REQUEST_CHARS_MAX = 21_845;
/** One message of the agent: all notifications of an owner, three UTF-8 bytes a character, and room. */
export const APP_ANSWER_BYTES_MAX = 1_048_576;
/** A request waits this long for a connection. */
export const APP_REQUEST_WAIT_MS = 30_000;
/** Connections that may be lost while the same request is unanswered. */
export const APP_REQUEST_TRIES_MAX = 3;

// --- State on the device ---
/** Handled message ids remembered; more than a service may have in flight. */
export const DEDUPE_IDS_MAX = 256;
/** Messages of one subscription remembered beyond their ids, against a service that sends one again under another. */
export const REPLAYS_REMEMBERED_MAX = 64;
/** Messages of one owner waiting in the journal before its channels are held. */
export const INBOX_MESSAGES_PER_OWNER_MAX = 64;
/** The same where the service cannot hold: what comes to one owner beyond this is refused. */
export const UNHELD_MESSAGES_PER_OWNER_MAX = 256;
/** Bodies waiting there, of all owners, before what comes to an app that takes none now is refused: under a quarter of {@link STATE_QUOTA_BYTES_MIN}. */
export const UNHELD_BODY_BYTES_MAX = 48_000;
/** Held channels flow again when this many or fewer wait. */
export const INBOX_MESSAGES_PER_OWNER_RESUME = 16;
/** Channels the service is told to hold at once; a lot of frames would pass for a flood ({@link LINK_FRAMES_BURST_MAX}). */
export const HOLDS_AT_ONCE_MAX = 256;
/** A person who leaves a question open so often in a row is not asked it again for this long. */
export const PROMPT_DISMISSALS_MAX = 3;
export const PROMPT_QUIET_MS = 24 * 3600 * 1000;
/** Requests that wait for a person's answer, over all owners. */
export const PROMPTS_WAITING_MAX = 256;
/** And of one owner: no app keeps others from being asked about. */
export const PROMPTS_WAITING_PER_OWNER_MAX = 16;
/** A registration that neither got a message nor was asked for by its app for this long is ended. */
export const UNUSED_MS_MAX = 180 * 24 * 3600 * 1000;
/** The device's clock and the service's time may differ by this and still say the same. */
export const CLOCKS_APART_MS_MAX = 24 * 3600 * 1000;
/** Use is written down to this, so that it costs nothing. */
export const USE_NOTED_MS = 24 * 3600 * 1000;
/** Unused registrations are looked for this often at most; at first so long after the start: apps have to come yet. */
export const UNUSED_CHECK_MS = 3_600_000;
/** Notifications kept until closed, per owner; the oldest goes first. */
export const NOTIFICATIONS_PER_OWNER_MAX = 32;
/** A notification stays this long before its app may close it, ms: one that is shown and closed at once was never seen. */
export const SCRIPT_CLOSE_MS_MIN = 30_000;
/** Where the device is awake or wakes anyway within this, the close waits for that. */
export const SCRIPT_CLOSE_WINDOW_MS = 30_000;
/** A notification nobody closed goes after this: the longest a message itself may wait for its device. */
export const NOTIFICATION_DAYS_MAX = 30;
/** Notifications of one owner that may make a sound or light the screen: a busy chat's minute, then two a minute. */
export const ALERTS_BURST_MAX = 20;
export const ALERT_REFILL_MS = 30_000;
/** Notifications one app may show, its messages' included: each is written to flash, also one that replaces another. */
export const SHOWS_BURST_MAX = 256;
export const SHOW_REFILL_MS = 1_000;
/** Badges one owner may set: one for each message of that minute, then six a minute; the last waits for the rest. */
export const BADGES_BURST_MAX = 20;
export const BADGE_REFILL_MS = 10_000;
export const BADGE_WINDOW_MS = 30_000;
/** Clicks on notifications of an app that is being started; older ones are forgotten. */
export const CLICKS_PER_OWNER_MAX = 8;
/** An app that did not come is started again for the next message after this. */
export const START_AGAIN_MS = 60_000;
/** A notification as JSON text; three UTF-8 bytes a character stay within a journal record. */
export const NOTIFICATION_CHARS_MAX = 10_000;
/** One journal record, framed. */
export const JOURNAL_RECORD_BYTES_MAX = 32_768;
/** Arrays inside each other in one journal record: the record and one list. */
export const JOURNAL_RECORD_DEPTH_MAX = 2;
/** Data items in one journal record; a list of {@link DEDUPE_IDS_MAX} ids fits, with room for later fields. */
export const JOURNAL_RECORD_ITEMS_MAX = 1024;
/** A segment is compacted when it has grown to this many bytes and to twice its last checkpoint. */
export const JOURNAL_COMPACT_BYTES_MIN = 65_536;
/** Room kept on flash so that opt-out and unregister work when it is full. */
export const JOURNAL_RESERVE_BYTES = 65_536;
/** Least quota of a state directory: the reserve, a journal before it is compacted, and room to write it anew. */
export const STATE_QUOTA_BYTES_MIN = 196_608;
/** A segment larger than this is not read: it is not ours. */
export const JOURNAL_SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
/** Path of the state directory, and the name a device is known by. */
export const STATE_PATH_CHARS_MAX = 3_072;
export const DEVICE_ID_CHARS_MAX = 256;
/** One file of /proc about a process, and the name of the machine. */
export const PROC_FILE_BYTES_MAX = 4_096;
/** One file of a recorded trace; at the end of it the recording ends. */
export const TRACE_BYTES_MAX = 64 * 1024 * 1024;
/** One line of it: an event with its effects, which at a start may be a notification for each of many apps. */
export const TRACE_LINE_BYTES_MAX = 4 * 1024 * 1024;
/** Lines that the disk has not taken yet; more, and the recording ends instead of the agent waiting. */
export const TRACE_WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** Values that one trace tells apart. */
export const TRACE_NAMES_MAX = 500_000;
/** One value that a replay makes, and all of them. */
export const TRACE_VALUE_BYTES_MAX = 1024 * 1024;
export const TRACE_VALUES_BYTES_MAX = 1024 * 1024 * 1024;
