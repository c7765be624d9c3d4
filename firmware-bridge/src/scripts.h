/* SPDX-License-Identifier: MIT */

/* Bytecode that qjsc makes at build time: embedding is part of libgodwit, the others of godwitd. */
#ifndef BRIDGE_SCRIPTS_H
#define BRIDGE_SCRIPTS_H

#include <stdint.h>

extern const uint8_t bridge_script_embedding[];
extern const uint32_t bridge_script_embedding_size;
extern const uint8_t bridge_script_daemon[];
extern const uint32_t bridge_script_daemon_size;
extern const uint8_t bridge_script_doctor[];
extern const uint32_t bridge_script_doctor_size;
extern const uint8_t bridge_script_config[];
extern const uint32_t bridge_script_config_size;
extern const uint8_t bridge_script_bench[];
extern const uint32_t bridge_script_bench_size;

#endif
