/* SPDX-License-Identifier: MIT */

/*
 * A state directory after anything happened to its flash: bytes changed, cut off and added, files gone, renamed, and others in their
 * place, links and pipes among them. An agent starts there and works, or is refused with a listed code; a second start says the
 * same; the directory does not outgrow its quota, and nothing outside of it is written. An input is what happened, in order.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quota.h"
#include "script_limits.h"
#include "shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define DAMAGES_MAX 16
#define IMAGE_BYTES_MAX (64 * 1024)

static const char *const names[] = {"journal-0", "journal-1", "journal.new", "reserve", "lock", "lock.takeover", "other", "journal-0"};
static const char precious[] = "not of this directory";

struct input {
    const uint8_t *at;
    size_t left;
};

static struct shell shell;
/* The journal of an agent that has subscribed, and a file that is nobody's business here. */
static char image_name[16];
static uint8_t image[IMAGE_BYTES_MAX];
static size_t image_bytes;
static char outside[64];

static uint8_t take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static size_t take_size(struct input *input)
{
    const size_t high = take_byte(input);

    return high << 8 | take_byte(input);
}

/* Up to `count` bytes of the input, borrowed. */
static const uint8_t *take_bytes(struct input *input, size_t *count)
{
    const uint8_t *at = input->at;

    if (*count > input->left)
        *count = input->left;
    input->at += *count;
    input->left -= *count;
    return at;
}

static const char *path_of(const char *name)
{
    static char paths[2][128];
    static int next;
    char *path = paths[next = 1 - next];

    (void) snprintf(path, sizeof paths[0], "%s/%s", shell.directory, name);
    return path;
}

static void write_at(const char *path, int flags, off_t offset, const void *bytes, size_t count)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | flags, 0600);

    if (fd < 0)
        return;
    (void) !pwrite(fd, bytes, count, offset);
    (void) close(fd);
}

/* Whatever kind of file it is. */
static void remove_name(const char *path)
{
    if (unlink(path) < 0)
        (void) rmdir(path);
}

static void make_link(struct input *input, const char *path)
{
    const char *const targets[] = {outside, "nowhere", "lock", "journal-1", "/dev/zero", ".", "1.1.x"};
    const uint8_t kind = take_byte(input);
    char text[256] = {0};
    size_t count = kind % 8 == 7 ? take_byte(input) : 0;

    memcpy(text, take_bytes(input, &count), count < sizeof text ? count : 0);
    remove_name(path);
    (void) !symlink(kind % 8 == 7 && text[0] != '\0' ? text : targets[kind % 7], path);
}

/* One thing that happened to the flash. */
static void damage(struct input *input)
{
    const uint8_t kind = take_byte(input);
    const char *path = path_of(names[kind >> 5]);
    const size_t where = take_size(input);
    size_t count = take_byte(input);
    const uint8_t *bytes;

    switch (kind & 7) {
    case 0:
        bytes = take_bytes(input, &count);
        write_at(path, 0, (off_t) where, bytes, count);
        return;
    case 1:
        (void) !truncate(path, (off_t) where);
        return;
    case 2:
        bytes = take_bytes(input, &count);
        write_at(path, O_APPEND, 0, bytes, count);
        return;
    case 3:
        remove_name(path);
        bytes = take_bytes(input, &count);
        write_at(path, O_CREAT, 0, bytes, count);
        return;
    case 4:
        make_link(input, path);
        return;
    case 5:
        remove_name(path);
        (void) mkdir(path, 0700);
        return;
    case 6:
        remove_name(path);
        (void) mkfifo(path, 0600);
        return;
    default:
        (void) rename(path, path_of(names[count & 7]));
    }
}

/* Starts an agent where it can; false when it was refused, with a code that says why. */
static bool start(void)
{
    const int result = shell_start(&shell);

    if (result == GODWIT_OK)
        return true;
    CHECK_INT(result, GODWIT_E_REFUSED);
    CHECK(strncmp(shell.failure.code, "ERR_JOURNAL_", strlen("ERR_JOURNAL_")) == 0);
    return false;
}

/* Asks for a subscription and stops: there is no service, so that its wish alone is written down. */
static void use(void)
{
    const struct godwit_subscribe_options options = {.struct_size = sizeof options};

    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", &options, shell_subscription, &shell), GODWIT_OK);
    for (int turns = 0; turns < 8; turns++)
        CHECK_INT(godwit_step(shell.agent, 0), GODWIT_OK);
    shell_stop(&shell);
    shell.told[0] = '\0';
}

static void keep_image(void)
{
    for (int i = 0; i < 2; i++) {
        const int fd = open(path_of(names[i]), O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            continue;
        strcpy(image_name, names[i]);
        image_bytes = (size_t) read(fd, image, sizeof image);
        (void) close(fd);
    }
    CHECK(image_bytes > 0 && image_bytes < sizeof image);
}

static void set_up(void)
{
    shell_init(&shell);
    shell.config.network = GODWIT_NETWORK_IGNORED;
    shell.config.state_quota_bytes = GODWIT_STATE_QUOTA_BYTES_MIN;
    shell.config.device_id = "fuzz";
}

static void remove_outside(void)
{
    (void) unlink(outside);
}

static void prepare(void)
{
    strcpy(outside, "/tmp/godwit-fuzz-XXXXXX");
    CHECK_INT(close(mkstemp(outside)), 0);
    CHECK_INT(atexit(remove_outside), 0);
    set_up();
    CHECK(start());
    use();
    keep_image();
    shell_end(&shell);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = {data, bytes};
    char kept[2 * sizeof precious] = "";
    int64_t before;
    bool is_started;
    int fd;

    if (image_bytes == 0)
        prepare();
    set_up();
    write_at(outside, O_TRUNC, 0, precious, sizeof precious);
    write_at(path_of(image_name), O_CREAT, 0, image, image_bytes);
    for (int damages = 0; damages < DAMAGES_MAX && input.left > 0; damages++)
        damage(&input);
    before = bridge_quota_count(shell.directory);
    is_started = start();
    if (is_started)
        use();
    CHECK(start() == is_started);
    shell_stop(&shell);
    CHECK(bridge_quota_count(shell.directory) <= (before > GODWIT_STATE_QUOTA_BYTES_MIN ? before : GODWIT_STATE_QUOTA_BYTES_MIN));
    fd = open(outside, O_RDONLY | O_CLOEXEC);
    CHECK_INT(read(fd, kept, sizeof kept), sizeof precious);
    CHECK_TEXT(kept, precious);
    (void) close(fd);
    shell_end(&shell);
    return 0;
}
