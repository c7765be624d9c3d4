// SPDX-License-Identifier: MIT
// Preloaded with --import: Math.random always gives TEST_RANDOM. In Godwit it only spreads delays, so a test can choose
// how long a process waits before it connects or registers again.

const value = Number(process.env.TEST_RANDOM);
Math.random = () => value;
