/* SPDX-License-Identifier: MIT */

/*
 * board: the fingerprint of the machine that figures belong to. Everything is read from the kernel; what it does not tell is
 * null.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

#include "bench.h"
#include "daemon_limits.h"
#include "quickjs.h"

/* First line of a file that is there on some boards, without trailing zeros and spaces. False when there is none. */
static bool board__read_line(const char *path, char *line, size_t bytes)
{
    FILE *file = fopen(path, "re");
    size_t length;

    if (file == NULL)
        return false;
    length = fread(line, 1, bytes - 1, file);
    fclose(file);
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    for (length = strlen(line); length > 0 && line[length - 1] == ' '; length--)
        line[length - 1] = '\0';
    return line[0] != '\0';
}

/* The value behind "name : " in /proc/cpuinfo. */
static bool board__read_cpu(const char *name, char *value, size_t bytes)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[DAEMON_BENCH_LINE_BYTES_MAX];
    bool is_found = false;

    if (file == NULL)
        return false;
    while (!is_found && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');

        if (colon == NULL || strncmp(line, name, strlen(name)) != 0)
            continue;
        colon += strspn(colon, ": \t");
        snprintf(value, bytes, "%.*s", (int) strcspn(colon, "\n"), colon);
        is_found = value[0] != '\0';
    }
    fclose(file);
    return is_found;
}

/* A text of JSON, or null. What is no printable ASCII is left out: the kernel's names hold nothing else worth keeping. */
static void board__print_text(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    if (text == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if (*text >= 0x20 && *text < 0x7f)
            putchar(*text);
    }
    putchar('"');
}

static const char *board__libc(char *text, size_t bytes)
{
#if defined(__GLIBC__)
    snprintf(text, bytes, "glibc %s", gnu_get_libc_version());
    return text;
#else
    (void) text;
    (void) bytes;
    return NULL;
#endif
}

void daemon_board_print(const char *crypto)
{
    static const char *const models[] = {"/proc/device-tree/model", "/sys/devices/virtual/dmi/id/product_name"};
    static const char *const cpus[] = {"model name", "Hardware", "cpu model", "uarch", "Processor"};
    static const char governor[] = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    static const char frequency[] = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
    char text[DAEMON_BENCH_LINE_BYTES_MAX];
    struct utsname system;
    bool is_found = false;

    fputs("{\"schema\":\"godwit-bench/1\"", stdout);
    for (size_t i = 0; !is_found && i < sizeof models / sizeof models[0]; i++)
        is_found = board__read_line(models[i], text, sizeof text);
    board__print_text("model", is_found ? text : NULL);
    is_found = false;
    for (size_t i = 0; !is_found && i < sizeof cpus / sizeof cpus[0]; i++)
        is_found = board__read_cpu(cpus[i], text, sizeof text);
    board__print_text("cpu", is_found ? text : NULL);
    printf(",\"cpus\":%ld", sysconf(_SC_NPROCESSORS_ONLN));
    board__print_text("governor", board__read_line(governor, text, sizeof text) ? text : NULL);
    board__print_text("frequencyKhzMax", board__read_line(frequency, text, sizeof text) ? text : NULL);
    is_found = uname(&system) == 0;
    if (is_found)
        snprintf(text, sizeof text, "%s %s", system.sysname, system.release);
    board__print_text("kernel", is_found ? text : NULL);
    board__print_text("machine", is_found ? system.machine : NULL);
    board__print_text("libc", board__libc(text, sizeof text));
    snprintf(text, sizeof text, "quickjs-ng %s", JS_GetVersion());
    board__print_text("engine", text);
    board__print_text("crypto", crypto);
    board__print_text("version", GODWIT_VERSION);
#if defined(GODWIT_COMMIT)
    board__print_text("commit", GODWIT_COMMIT);
#else
    board__print_text("commit", NULL);
#endif
    puts("}");
}
