/* SPDX-License-Identifier: MIT */

/* Bounds of godwitd's C alone. Those it shares with the script stand in src/limits.ts and come as LIMIT_* in script_limits.h. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

/* Connections taken from one listener before the loop sees to everybody else. */
#define DAEMON_ACCEPTS_PER_TURN_MAX 16
/* How long a listener rests when the system has no descriptor or memory for a connection, not even to turn it away. */
#define DAEMON_ACCEPT_REST_MS 1000
/* What libwebsockets keeps for each connection to read into. A message in more pieces is put together beside it. */
#define DAEMON_READ_BYTES 4096
/* Header fields and path of a request, each. libwebsockets takes 4096 bytes of headers in all. */
#define DAEMON_HEADER_BYTES_MAX 2048
/* Of an answer over HTTP, with its headers. */
#define DAEMON_RESPONSE_BYTES_MAX ((size_t) 1024 * 1024)
#define DAEMON_RESPONSE_HEADERS_MAX 64
/* One Ctrl-C reaches a program more than once: from the terminal and from whatever passes it on. Signals within are one. */
#define DAEMON_ONE_SIGNAL_MS 3000
/* What stopping may take: the bridge's requests and the app socket's peers have bounds of their own, far below. */
#define DAEMON_STOP_MS_MAX 10000
/* Configuration file, policy, certificates, key: each. */
#define DAEMON_FILE_BYTES_MAX ((size_t) 1024 * 1024)
/* Names of a directory that the doctor looks at. */
#define DAEMON_NAMES_MAX 4096
/* Heap and stack of the configuration script. */
#define DAEMON_CONFIG_HEAP_BYTES_MAX ((size_t) 32 * 1024 * 1024)
#define DAEMON_CONFIG_STACK_BYTES_MAX ((size_t) 256 * 1024)
/* godwitd bench: a line the kernel tells of the board; samples of each side, fewer give no median worth comparing. */
#define DAEMON_BENCH_LINE_BYTES_MAX 256
#define DAEMON_BENCH_ROUNDS_MIN 40
#define DAEMON_BENCH_ROUNDS_MAX 10000
/* Starts thrown away before the first that counts. */
#define DAEMON_BENCH_WARM_UP 3

#endif
