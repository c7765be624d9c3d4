// SPDX-License-Identifier: MIT
/** What `godwitd doctor` makes of what a device allows: of codes the system answered with, and of counts. Pure. */

import { EXIT } from "../configuration/exit.ts";
import { JOURNAL_RESERVE_BYTES } from "../limits.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** @param refusal code of the system, or null when alarms may wake the machine */
export function alarmFinding(refusal: string | null): Finding {
  if (refusal === null) return ok("alarm", "alarms wake the machine");
  return warn(
    "alarm",
    `alarms do not wake the machine (${refusal}): while it sleeps nothing is heard, and no heartbeat is sent`,
    refusal === "EPERM"
      ? "nothing, where it never sleeps; else give CAP_WAKE_ALARM, as godwitd-battery.service does"
      : "nothing, where it never sleeps; else it needs a kernel with CLOCK_BOOTTIME_ALARM and a clock chip that wakes",
  );
}

/** @param refusal code of the system, or null when locks may be taken */
export function wakeLockFinding(refusal: string | null): Finding {
  if (refusal === null) return ok("wake lock", "the machine can be kept awake while a message is in hand");
  return warn(
    "wake lock",
    `the machine cannot be kept awake (${refusal}): it may sleep in the middle of a message, which then comes again`,
    refusal === "ENOENT"
      ? "nothing, where it never sleeps; else it needs a kernel with wake locks (CONFIG_PM_WAKELOCKS)"
      : "nothing, where it never sleeps; else install tmpfiles.d/godwit.conf and use godwitd-battery.service",
  );
}

/** @param isTold the kernel tells of its networks @param label of the present one, or null */
export function networkFinding(isTold: boolean, label: string | null): Finding {
  if (!isTold)
    return warn(
      "network",
      "the kernel does not tell of networks: a change is noticed only when something fails",
      "allow AF_NETLINK (RestrictAddressFamilies= of the unit, or the sandbox)",
    );
  return label === null
    ? warn("network", "followed; there is none now", "nothing, where the device is offline")
    : ok("network", `followed; this is ${label}`);
}

/** The wall clock, of which only this is known without a network. */
export function wallClockFinding(isTrusted: boolean): Finding {
  if (isTrusted) return ok("clock", "after this build was made");
  return warn(
    "clock",
    "before this build was made: certificates may count as not yet valid, and nothing expires",
    "set it, or let the device ask for the time (timedatectl set-ntp true)",
  );
}

/** @param count certificates that could be read in `path` @param more whether `ca` adds some */
export function trustFinding(path: string, count: number, more: boolean): Finding {
  if (count > 0) return ok("trust", `${count} certificates in ${path}`);
  if (more) return ok("trust", `those of --ca alone: ${path} holds none`);
  return fail(
    "trust",
    EXIT.config,
    `${path} holds no certificate: no push service can be reached over TLS`,
    "install ca-certificates, or name a file with --ca-bundle",
  );
}

/** @param hasMachineId false: the host name stands in */
export function machineFinding(hasMachineId: boolean): Finding {
  if (hasMachineId) return ok("machine", "its id binds the journal to it");
  return warn(
    "machine",
    "it has no id: its host name binds the journal to it, and a copied disk would be taken for its own",
    "make /etc/machine-id at first boot (systemd-machine-id-setup)",
  );
}

/** @param library that decrypts, or null for the script */
export function cryptographyFinding(library: string | null): Finding {
  if (library !== null) return ok("crypto", `${library} decrypts messages`);
  return warn(
    "crypto",
    "this build has no native cryptography: the script decrypts, about 20 times slower",
    "build it with -DGODWIT_CRYPTO=openssl or mbedtls",
  );
}

/** @param refusal code of the system, or null when it may be started */
export function helperFinding(path: string, refusal: string | null): Finding {
  if (refusal === null) return ok("helper", path);
  return fail(
    "helper",
    EXIT.config,
    `${path} cannot be started (${refusal})`,
    "correct --helper, or chmod 755 it",
  );
}

/** @param usedBytes of all files of the state directory */
export function quotaFinding(usedBytes: number, quotaBytes: number): Finding {
  const found = `${usedBytes} of ${quotaBytes} bytes used`;
  // A checkpoint writes the journal anew beside the old one; the reserve is there once.
  if (2 * usedBytes - JOURNAL_RESERVE_BYTES <= quotaBytes) return ok("quota", found);
  return usedBytes < quotaBytes
    ? warn("quota", found, "raise --state-quota soon: the journal is written anew beside the old one")
    : fail("quota", EXIT.failure, found, "raise --state-quota: nothing can be written down");
}
