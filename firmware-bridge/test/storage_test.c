/* SPDX-License-Identifier: MIT */

/*
 * Goal: the script gets its files within bounds and no others: descriptors, paths, offsets, modes, links, quota; and
 * any failed allocation is an error of the call. Method: scripts on a real directory, looked at from C.
 */

#define _GNU_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory_faults.h"
#include "support.h"

/* What every script begins with. `code` names what a call ends with. */
#define PRELUDE \
    "const fs = bridge.fs, at = (name) => bridge.options + '/' + name;" \
    "const code = (f) => { try { f(); return 'fine'; } catch (e) { return e.code ?? e.name; } };" \
    "const put = (name, bytes) => { const fd = fs.open(at(name), 'w', 0o600);" \
    "  try { for (let n = 0; n < bytes.length;) n += fs.write(fd, bytes, n, bytes.length - n, n); } finally { " \
    "fs.close(fd); } };" \
    "const size = (name) => fs.stat(at(name)).size;"

static char directory[64];

/* Runs `body` behind the prelude in a new state directory `state` of `directory`, and expects what it says. */
static void run_with_quota(const char *body, const char *expected, uint64_t quota_bytes)
{
    char state[128];
    char source[8192];
    struct bridge_options options = {.state_directory = state, .options_json = state, .state_quota_bytes = quota_bytes};
    struct bridge *b;

    snprintf(state, sizeof state, "%s/state", directory);
    CHECK(snprintf(source, sizeof source, PRELUDE "bridge.listen({}); %s", body) < (int) sizeof source);
    CHECK_INT(test_create(&b, source, &options), 0);
    CHECK_TEXT(test_said(), expected);
    bridge_destroy(b);
}

static void run(const char *body, const char *expected)
{
    run_with_quota(body, expected, 0);
}

static void remove_all(const char *path)
{
    char inner[512];
    struct dirent *entry;
    DIR *entries = opendir(path);

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_all(inner);
        else
            CHECK_INT(unlink(inner), 0);
    }
    if (entries != NULL)
        closedir(entries);
    CHECK_INT(rmdir(path), 0);
}

static void begin(void)
{
    char state[128];

    strcpy(directory, "/tmp/godwit-storage-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(state, sizeof state, "%s/state", directory);
    CHECK_INT(mkdir(state, 0700), 0);
}

static void end(void)
{
    remove_all(directory);
}

static mode_t mode_of(const char *name)
{
    char path[256];
    struct stat found;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK_INT(stat(path, &found), 0);
    return found.st_mode & 07777;
}

static void what_is_written_is_read(void)
{
    begin();
    run("const fd = fs.open(at('a'), 'w', 0o600); const bytes = Uint8Array.of(9, 1, 2, 3, 4, 9);"
        "say(fs.write(fd, bytes, 1, 4, 0)); say(fs.write(fd, bytes, 0, 1, 6)); fs.datasync(fd); fs.sync(fd); "
        "fs.close(fd);"
        "say(fs.readFile(at('a'), 7)); say(code(() => fs.readFile(at('a'), 6))); say(size('a'));"
        "const again = fs.open(at('a'), 'r+', 0); fs.write(again, bytes, 0, 1, 1); fs.close(again); "
        "say(fs.readFile(at('a'), 100));"
        "put('a', Uint8Array.of(7)); say(fs.readFile(at('a'), 100)); put('empty', bytes.subarray(0, 0)); "
        "say(size('empty'));"
        "const folder = fs.open(bridge.options, 'r', 0); fs.sync(folder); fs.close(folder);",
        "4\n1\n1,2,3,4,0,0,9\nEFBIG\n7\n1,9,3,4,0,0,9\n7\n0\n");
    end();
}

static void names_change(void)
{
    begin();
    run("put('a', Uint8Array.of(1)); fs.rename(at('a'), at('b')); say(code(() => size('a'))); say(size('b'));"
        "fs.symlink('12.34.x', at('lock')); say(fs.readlink(at('lock'))); say(code(() => fs.symlink('other', "
        "at('lock'))));"
        "fs.unlink(at('lock')); say(code(() => fs.readlink(at('lock')))); say(code(() => fs.readlink(at('b'))));"
        "say(code(() => fs.unlink(at('lock')))); say(code(() => fs.symlink('a\\0b', at('nul'))));"
        "say(code(() => fs.rename(at('none'), at('c'))));",
        "ENOENT\n1\n12.34.x\nEEXIST\nENOENT\nEINVAL\nENOENT\nEINVAL\nENOENT\n");
    end();
}

static void modes_are_exact_whatever_the_umask(void)
{
    mode_t before;

    begin();
    before = umask(0777);
    run("const fd = fs.open(at('a'), 'w', 0o640); fs.close(fd); say(fs.makeDirectory(at('deep/er'), 0o750));"
        "say(fs.makeDirectory(at('deep/er/'), 0o700)); say(code(() => fs.makeDirectory(at('a/b'), 0o700)));"
        "say(code(() => fs.makeDirectory(at('a'), 0o700))); say(fs.stat(at('a')).mode.toString(8));"
        "say(code(() => fs.open(at('b'), 'w', 0o4755)));",
        "true\nfalse\nENOTDIR\nENOTDIR\n640\nRangeError\n");
    CHECK_INT(mode_of("state/deep"), 0750);
    CHECK_INT(mode_of("state/deep/er"), 0750);
    CHECK_INT(mode_of("state/a"), 0640);
    (void) umask(0);
    test_forget();
    run("put('a', Uint8Array.of(1)); put('c', Uint8Array.of(1));", "");
    CHECK_INT(mode_of("state/a"), 0600);
    CHECK_INT(mode_of("state/c"), 0600);
    (void) umask(before);
    end();
}

static void paths_are_absolute_short_and_stay_inside(void)
{
    begin();
    run("say(code(() => fs.stat('a'))); say(code(() => fs.stat(''))); say(code(() => fs.stat(at('a\\0b'))));"
        "say(code(() => fs.stat('/' + 'x'.repeat(5000)))); say(code(() => fs.stat('/' + 'x'.repeat(300))));"
        "say(code(() => fs.open(at('../outside'), 'w', 0o600))); say(code(() => fs.unlink(at('x/./../../y'))));"
        "say(code(() => fs.stat(7))); say(code(() => fs.stat())); say(code(() => fs.stat({ toString: () => '/' })));"
        "say(code(() => fs.open(at('a'), 'a', 0o600))); say(code(() => fs.open(at('none'), 'r', 0)));"
        "say(code(() => size('..hidden'))); say(code(() => fs.open(at('\\ud800'), 'r', 0)));",
        "EINVAL\nEINVAL\nEINVAL\nENAMETOOLONG\nENAMETOOLONG\nEINVAL\nEINVAL\nTypeError\nTypeError\nTypeError\n"
        "RangeError\nENOENT\n"
        "ENOENT\nENOENT\n");
    end();
}

static void descriptors_are_ours_and_few(void)
{
    begin();
    run("say(code(() => fs.write(1, Uint8Array.of(1), 0, 1, 0))); say(code(() => fs.close(0))); say(code(() => "
        "fs.sync(-1)));"
        "const fd = fs.open(at('a'), 'w', 0o600); fs.close(fd); say(code(() => fs.close(fd))); say(code(() => "
        "fs.datasync(fd)));"
        "const more = []; say(code(() => { for (;;) more.push(fs.open(at('a'), 'r', 0)); })); say(more.length);"
        "say(new Set(more).size); fs.close(more[3]); const again = fs.open(at('a'), 'r', 0); say(more.includes(again));"
        "say(code(() => fs.write(again, Uint8Array.of(1), 0, 1, 0)));",
        "EBADF\nRangeError\nRangeError\nEBADF\nEBADF\nEMFILE\n16\n16\nfalse\nEBADF\n");
    end();
}

static void offsets_stay_inside_the_bytes(void)
{
    begin();
    run("const fd = fs.open(at('a'), 'w', 0o600), bytes = new Uint8Array(10);"
        "for (const [offset, length, position] of [[-1, 1, 0], [0, 11, 0], [5, 6, 0], [10, 1, 0], [0, 0, 0], [0, -1, "
        "0], [11, 1, 0],"
        "  [0, 1, -1], [0, 1, 2 ** 53], [NaN, 1, 0], [0, 1.5, 0]]) say(code(() => fs.write(fd, bytes, offset, "
        "length, position)));"
        "say(code(() => fs.write(fd, [1], 0, 1, 0))); say(code(() => fs.write(fd, new Uint16Array(4), 0, 1, 0)));"
        "say(code(() => fs.write(fd, bytes, 0, 1))); say(size('a')); say(code(() => fs.readFile(at('a'), -1)));",
        "RangeError\nRangeError\nRangeError\nRangeError\nRangeError\nRangeError\nRangeError\nRangeError\n"
        "RangeError\nRangeError\n"
        "RangeError\nTypeError\nTypeError\nTypeError\n0\nRangeError\n");
    end();
}

static void what_is_no_file_is_refused_without_waiting(void)
{
    char path[128];

    begin();
    snprintf(path, sizeof path, "%s/state/pipe", directory);
    CHECK_INT(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/state/link", directory);
    CHECK_INT(symlink("/etc/hostname", path), 0);
    run("for (const flags of ['r', 'r+', 'w']) say(code(() => fs.open(at('pipe'), flags, 0o600)));"
        "say(code(() => fs.readFile(at('pipe'), 10))); say(code(() => fs.readFile(bridge.options, 10)));"
        "for (const flags of ['r', 'r+', 'w']) say(code(() => fs.open(at('link'), flags, 0o600)));"
        "say(code(() => fs.readFile(at('link'), 100))); say(fs.stat(at('link')).mode.toString(8));"
        "say(code(() => fs.open(bridge.options, 'w', 0o600)));",
        "EINVAL\nEINVAL\nEINVAL\nEINVAL\nEISDIR\nELOOP\nELOOP\nELOOP\nELOOP\n777\nEISDIR\n");
    end();
}

static void proc_is_read_although_it_says_it_is_empty(void)
{
    begin();
    run("const text = (bytes) => bridge.utf8Decode(bytes);"
        "say(fs.stat('/proc/self/stat').size); say(text(fs.readFile('/proc/self/stat', 65536)).split(' ')[0] === "
        "String(bridge.pid));"
        "say(text(fs.readFile('/proc/self/smaps', 4 << 20)).length > 8192); say(code(() => "
        "fs.readFile('/proc/self/smaps', 5000)));"
        "say(fs.isRunning(bridge.pid)); say(fs.isRunning(2 ** 31 - 1)); say(code(() => fs.isRunning(0))); "
        "say(code(() => fs.isRunning(-1)));"
        "say(typeof fs.uid());",
        "0\ntrue\ntrue\nEFBIG\ntrue\nfalse\nRangeError\nRangeError\nnumber\n");
    end();
}

static void the_quota_holds(void)
{
    begin();
    run_with_quota("const kb = new Uint8Array(1024); put('a', kb); put('b', kb); say(code(() => put('c', kb)));"
                   /* What was cut short counts as long as it is there. */
                   "say(size('c')); put('c', kb.subarray(0, 512)); say(code(() => put('d', Uint8Array.of(1))));"
                   /* The same bytes again, and fewer, need no room. */
                   "const fd = fs.open(at('a'), 'r+', 0); say(fs.write(fd, kb, 0, 1024, 0)); say(code(() => "
                   "fs.write(fd, kb, 0, 2, 1023)));"
                   "fs.close(fd); put('b', kb.subarray(0, 256)); put('d', kb.subarray(0, 768)); say(code(() => "
                   "put('e', Uint8Array.of(1))));"
                   "fs.rename(at('d'), at('a')); put('f', kb); say(code(() => put('e', Uint8Array.of(1)))); "
                   "fs.unlink(at('f'));"
                   "fs.rename(at('a'), bridge.options + '.moved'); put('g', kb.subarray(0, 1024)); put('h', "
                   "kb.subarray(0, 768));"
                   "say(code(() => put('e', Uint8Array.of(1)))); fs.rename(bridge.options + '.moved', at('back'));"
                   "say(code(() => put('e', Uint8Array.of(1))));",
                   "EDQUOT\n0\nEDQUOT\n1024\nEDQUOT\nEDQUOT\nEDQUOT\nEDQUOT\nEDQUOT\n", 2560);
    end();
}

static void the_quota_counts_what_was_there(void)
{
    begin();
    run_with_quota("const kb = new Uint8Array(1024); fs.makeDirectory(at('deep/er'), 0o700); put('deep/er/a', kb); "
                   "put('b', kb);"
                   "fs.symlink('/etc/services', at('link'));",
                   "", 0);
    run_with_quota("const kb = new Uint8Array(1024); say(code(() => put('c', kb))); put('c', kb.subarray(0, 512));",
                   "EDQUOT\n", 2560);
    test_forget();
    run_with_quota("const kb = new Uint8Array(1024); say(code(() => put('d', kb.subarray(0, 1))));"
                   "bridge.fs.unlink(at('deep/er/a')); put('d', kb); say(code(() => put('e', Uint8Array.of(1))));",
                   "EDQUOT\nEDQUOT\n", 2560);
    /* Outside of the directory nothing counts. */
    test_forget();
    run_with_quota("put('../other'.slice(3) === 'other' ? 'b' : '', new Uint8Array(1024));"
                   "const fd = fs.open(bridge.options + '-not', 'w', 0o600); say(fs.write(fd, new Uint8Array(4096), "
                   "0, 4096, 0));",
                   "4096\n", 2560);
    end();
}

static void the_quota_finds_room_that_others_made(void)
{
    char state[128], path[160];
    struct bridge_options options = {.state_directory = state, .options_json = state, .state_quota_bytes = 2048};
    struct bridge *b;

    begin();
    snprintf(state, sizeof state, "%s/state", directory);
    snprintf(path, sizeof path, "%s/a", state);
    CHECK_INT(test_create(&b, PRELUDE "const kb = new Uint8Array(1024); bridge.listen({ go() { say(code(() => "
                                      "put('c', kb))); } });"
                                      "put('a', kb); put('b', kb);",
                          &options),
              0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    CHECK_TEXT(test_said(), "EDQUOT\nfine\n");
    bridge_destroy(b);
    end();
}

static void bad_options_make_no_bridge(void)
{
    const char *directories[] = {"relative", "", "/", "//"};
    struct bridge *b;

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        const struct bridge_options options = {.state_directory = directories[i], .state_quota_bytes = 1};

        CHECK_INT(test_create(&b, "bridge.listen({});", &options), BRIDGE_E_ARGUMENT);
    }
}

static void an_allocation_that_fails_is_an_error_of_the_call(void)
{
    static const char source[] =
        PRELUDE "const all = () => { put('a', Uint8Array.of(1, 2)); fs.readFile(at('a'), 10); "
                "fs.readFile('/proc/self/stat', 65536);"
                " fs.stat(at('a')); fs.rename(at('a'), at('b')); try { fs.symlink('x', at('l')); } catch {} "
                "fs.readlink(at('l'));"
                " try { fs.unlink(at('l')); } catch {} fs.makeDirectory(at('d'), 0o700); };"
                "bridge.listen({ go() { all(); } });";
    char state[128];
    struct bridge_options options = {.state_directory = state, .options_json = state, .state_quota_bytes = 1 << 20};
    struct bridge *b;
    uint64_t needed;
    size_t blocks = bridge_memory_blocks();

    begin();
    snprintf(state, sizeof state, "%s/state", directory);
    CHECK_INT(test_create(&b, source, &options), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    bridge_memory_faults_set(0, false);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    needed = bridge_memory_faults_seen();
    bridge_destroy(b);
    CHECK(needed > 0);
    for (uint64_t nth = 1; nth <= needed; nth++) {
        int error;

        CHECK_INT(test_create(&b, source, &options), 0);
        CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
        bridge_memory_faults_set(nth, false);
        error = bridge_emit(b, "go", 0, NULL);
        /* The script catches two of them itself. */
        CHECK(error == BRIDGE_E_NOMEM || error == 0);
        bridge_memory_faults_set(0, false);
        bridge_destroy(b);
    }
    CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) blocks);
    end();
}

int main(void)
{
    RUN(what_is_written_is_read);
    RUN(names_change);
    RUN(modes_are_exact_whatever_the_umask);
    RUN(paths_are_absolute_short_and_stay_inside);
    RUN(descriptors_are_ours_and_few);
    RUN(offsets_stay_inside_the_bytes);
    RUN(what_is_no_file_is_refused_without_waiting);
    RUN(proc_is_read_although_it_says_it_is_empty);
    RUN(the_quota_holds);
    RUN(the_quota_counts_what_was_there);
    RUN(the_quota_finds_room_that_others_made);
    RUN(bad_options_make_no_bridge);
    RUN(an_allocation_that_fails_is_an_error_of_the_call);
    return 0;
}
