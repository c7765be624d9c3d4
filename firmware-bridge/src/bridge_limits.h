/* SPDX-License-Identifier: MIT */

/* Bounds of the C host alone. Those it shares with the script stand in src/limits.ts and come as LIMIT_* in limits.h. */
#ifndef BRIDGE_LIMITS_H
#define BRIDGE_LIMITS_H

/* Heap of the script where the embedding program names no bound: ten times what 1000 subscriptions take. */
#define BRIDGE_HEAP_BYTES_MAX ((size_t) 64 * 1024 * 1024)
/* Garbage the script's heap may hold between collections, each of which takes some milliseconds. */
#define BRIDGE_GARBAGE_BYTES_MAX ((size_t) 64 * 1024)
/* The script's heap fell by so much: free pages go back to the system, which takes some ten microseconds. */
#define BRIDGE_TRIM_BYTES ((size_t) 16 * 1024)
/* C stack the script may use. Elliptic curves and CBOR go 40 frames deep; threads of small C libraries have 128 KiB in all. */
#if !defined(BRIDGE_STACK_BYTES_MAX)
#define BRIDGE_STACK_BYTES_MAX ((size_t) 96 * 1024)
#endif
/* Processor time of one event with its jobs, or of the script's start: what takes longer runs away. */
#if !defined(BRIDGE_SCRIPT_CPU_MS_MAX)
#define BRIDGE_SCRIPT_CPU_MS_MAX 30000
#endif
/* Events that natives may queue while the script is in an event. */
#define BRIDGE_EVENTS_QUEUED_MAX 4096
/* Descriptors of one loop: links, requests, watches, and the app socket's connections. */
#define BRIDGE_DESCRIPTORS_MAX 512
/* One line of the log, with its end. */
#define BRIDGE_LOG_BYTES_MAX 1024
/* Parts of one answer of the kernel that are looked at: what matters comes first in a long list of routes. */
#define BRIDGE_NETLINK_MESSAGES_MAX 65536
/* Changes read at once from the kernel before the state is. */
#define BRIDGE_NETLINK_EVENTS_MAX 256
/* Addresses of the interface in use, and interfaces without a default route, that are looked at. */
#define BRIDGE_NETWORK_ADDRESSES_MAX 32
#define BRIDGE_NETWORK_LINKS_MAX 64

/* Addresses of one host that are dialled, half of each family at least where it has both; their text, with a scope and its end. */
#define BRIDGE_DIAL_ADDRESSES_MAX 4
#define BRIDGE_ADDRESS_CHARS_MAX 72
/* An address that does not answer makes way for the next after this. */
#define BRIDGE_DIAL_ADDRESS_MS_MAX 5000
/* Threads of one bridge that wait for name servers, some for nobody any more; the C stack of each: resolvers take 100 KB. */
#define BRIDGE_LOOKUPS_MAX 16
#define BRIDGE_LOOKUP_STACK_BYTES ((size_t) 256 * 1024)
/* What lws has room for in the first lines of a request. */
#define BRIDGE_AUTHORITY_CHARS_MAX 118
#define BRIDGE_PATH_CHARS_MAX 2000
#define BRIDGE_METHOD_CHARS_MAX 7
#define BRIDGE_SUBPROTOCOL_CHARS_MAX 64
#define BRIDGE_HEADERS_MAX 16
/* WebSocket links: one, its canaries, and those that are being closed. */
#define BRIDGE_LINKS_MAX 16
/* A link that is closed waits this long for what is queued. */
#define BRIDGE_WEBSOCKET_CLOSE_MS 2000
#define BRIDGE_HTTP_REQUESTS_MAX 16
/* Head of an answer, or of a request to the app socket, and what lws keeps with it: for as long as a connection is being opened. */
#define BRIDGE_HTTP_HEAD_BYTES_MAX 8192
#define BRIDGE_HTTP_TIMEOUT_MS_MAX 600000
/* One push message goes out at most. */
#define BRIDGE_HTTP_BODY_BYTES_MAX 16384
/* TLS sessions to resume: one for each server; of more the one longest not used goes. */
#define BRIDGE_TLS_SESSIONS_MAX 8
/* Certificates of one PEM file; the bundles of distributions hold 150. */
#define BRIDGE_CA_CERTIFICATES_MAX 1024
/* Reads of a stream in a row, before others are served. */
#define BRIDGE_STREAM_READS_MAX 16
/* Bytes of a stream that the system keeps for a server that does not read; it doubles them. */
#define BRIDGE_STREAM_UNSENT_BYTES_MAX 65536
/* Packets an MQTT broker may send without reading the answers, 80 bytes each. */
#define BRIDGE_MQTT_UNANSWERED_MAX 4096

#endif
