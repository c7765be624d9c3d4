/* SPDX-License-Identifier: MIT */

/*
 * daemon: what godwitd adds to the bridge. The script's object `daemon` (src/quickjs/daemon-bridge.d.ts), the configuration,
 * and the program's life. One `struct daemon` lies around one bridge, in main.c's hands. Errors are BRIDGE_E*.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bridge.h"
#include "awake.h"
#include "notify.h"

/* Exit codes, as of `godwit` (SPEC.md, "Command line"). */
#define DAEMON_EXIT_OK 0
#define DAEMON_EXIT_FAILURE 1
#define DAEMON_EXIT_USAGE 2
/* The script failed: its state is unknown, a fresh start is the cure (sysexits: EX_SOFTWARE). */
#define DAEMON_EXIT_SCRIPT 70

struct daemon_listeners;
struct daemon_socket;
struct daemon_processes;
struct daemon_bus;

struct daemon {
    struct bridge *b;
    /* The object `daemon` of the script; JS_UNDEFINED while there is none. */
    JSValue object;
    /* Each part's own, NULL while it is closed. */
    struct daemon_listeners *listeners;
    struct daemon_socket *socket;
    struct daemon_processes *processes;
    struct daemon_bus *bus;
    struct daemon_notify notify;
    struct daemon_awake awake;
    bool is_doctor;
    int signal_fd;
    struct bridge_watch *signals;
    /* From then on. */
    struct bridge_delay patience;
    /* When SIGTERM or SIGINT came first, by CLOCK_BOOTTIME; -1 before. */
    int64_t stop_asked_ms;
    /* What to end with, or -1. */
    int exit_code;
    /* A line on stdout was lost, and not because nobody reads any more. */
    bool lost_output;
};

/* ---- daemon.c ---- */

/* The whole program; what to exit with. */
int daemon_main(int argc, char **argv);
/* Adds functions to the script's `daemon` object. */
int daemon_add_functions(struct daemon *d, const JSCFunctionListEntry *functions, int count);
/* From the context a native was called with. */
struct daemon *daemon_of(JSContext *ctx);

/* ---- config.c: the configuration script, in an engine of its own that is gone before the agent starts ---- */

/* What it found; free with daemon_config_free. Texts are NULL where there is none. */
struct daemon_config {
    /* Below 0: run. Else there is nothing to run: print and end with it. */
    int exit_code;
    char *stdout_text;
    char *stderr_text;
    /* Not the agent is to run, but the doctor. */
    bool is_doctor;
    /* JSON for src/quickjs/daemon.ts or doctor.ts. */
    char *options_json;
    char *state_directory;
    char *ca_pem;
    char *ca_file;
    bool has_device_key;
    uint8_t device_key[32];
    uint64_t state_quota_bytes;
};

/* Reads flags, environment and files. `argv` without the program's name. 0 or a BRIDGE_E; then *config holds nothing. */
int daemon_config_read(struct daemon_config *config, const struct bridge_script *script, int argc, char **argv);
/* Also of one that was not read; the device key is wiped. */
void daemon_config_free(struct daemon_config *config);

/* ---- listener.c: where connections come in ---- */

int daemon_listeners_open(struct daemon *d);
/* Takes no more connections. */
void daemon_listeners_stop(struct daemon *d);
void daemon_listeners_close(struct daemon *d);

/* ---- app_socket.c, app_socket_natives.c: the connections ---- */

int daemon_socket_open(struct daemon *d);
void daemon_socket_close(struct daemon *d);
/* Takes `fd`, also on failure. */
void daemon_socket_take(struct daemon *d, int fd, bool is_loopback);

/* ---- process.c ---- */

int daemon_processes_open(struct daemon *d);
/* Those that still run are told to end, and left to the init process. */
void daemon_processes_close(struct daemon *d);

/* ---- doctor.c: `godwitd doctor` ---- */

/* Adds what it looks with to the script's `daemon` object. 0 or a BRIDGE_E. */
int daemon_doctor_open(struct daemon *d);

/* ---- log.c: stderr, with priorities where the journal reads it ---- */

/* True when what is written to `fd` goes to the journal (systemd.exec(5), JOURNAL_STREAM). */
bool daemon_log_is_journal(int fd);
void daemon_log_open(void);
void daemon_log_write(void *user, int priority, const char *text);

#endif
