/* SPDX-License-Identifier: MIT */

/* bench: `godwitd bench`, what this board spends its time on. */
#ifndef DAEMON_BENCH_H
#define DAEMON_BENCH_H

/* The whole command; `argv` without the program's name and `bench`. What to exit with. */
int daemon_bench(int argc, char **argv);

/* board.c: prints what the figures belong to, as one line of JSON without line break. `crypto` is the library's name. */
void daemon_board_print(const char *crypto);

#endif
