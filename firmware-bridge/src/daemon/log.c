/* SPDX-License-Identifier: MIT */

/* log: lines on stderr, with syslog's priority in front where stderr is the journal (sd-daemon(3)). */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

static bool daemon__is_journal;

bool daemon_log_is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat is;
    uintmax_t device;
    uintmax_t inode;

    /* The variable is passed on to programs whose stdout and stderr are something else. */
    return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(fd, &is) == 0 && is.st_dev == device &&
           is.st_ino == inode;
}

void daemon_log_open(void)
{
    daemon__is_journal = daemon_log_is_journal(STDERR_FILENO);
}

void daemon_log_write(void *user, int priority, const char *text)
{
    (void) user;
    /* Whether it can be written or not: an agent has more to do than to tell of it. */
    if (daemon__is_journal)
        fprintf(stderr, "<%d>%s\n", priority, text);
    else
        fprintf(stderr, "%s\n", text);
}
