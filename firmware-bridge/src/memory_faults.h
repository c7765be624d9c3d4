/* SPDX-License-Identifier: MIT */

/*
 * memory_faults: makes allocations of memory.c fail, for tests. Only in builds with BRIDGE_MEMORY_FAULTS (GODWIT_MEMORY_FAULTS=ON).
 *
 * Counts every allocation and every growth of ours and of the engine, in all threads: run one bridge at a time.
 */
#ifndef BRIDGE_MEMORY_FAULTS_H
#define BRIDGE_MEMORY_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(BRIDGE_MEMORY_FAULTS)
#error "memory_faults.h needs a build with GODWIT_MEMORY_FAULTS=ON"
#endif

/*
 * The `nth` allocation from now fails, 1 being the next; with `and_all_after` all that follow too. 0: none fails. Starts the
 * count of bridge_memory_faults_seen anew.
 */
void bridge_memory_faults_set(uint64_t nth, bool and_all_after);
/* Allocations since bridge_memory_faults_set. As many as a call needs: fail each of 1 … that in turn. */
uint64_t bridge_memory_faults_seen(void);
/* True once one was refused since bridge_memory_faults_set. */
bool bridge_memory_faults_hit(void);
/* Blocks that were not freed yet. */
size_t bridge_memory_blocks(void);

#endif
