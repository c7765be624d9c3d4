// SPDX-License-Identifier: MIT
/**
 * Bill of materials of a firmware release, CycloneDX 1.5: what is in the tarball, with hashes, and the libraries of the system that
 * what is built from it is linked with.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Linked with, never brought along. `versionMin` is what CMakeLists.txt and README.md ask for. */
const LIBRARIES = [
  { name: "libwebsockets", versionMin: "4.1", licence: "MIT", scope: "required" },
  { name: "libmosquitto", versionMin: "2.0", licence: "EPL-2.0 OR BSD-3-Clause", scope: "required" },
  { name: "openssl", versionMin: "3.0", licence: "Apache-2.0", scope: "required" },
  {
    ...{ name: "mbedtls", versionMin: "2.28", licence: "Apache-2.0 OR GPL-2.0-or-later", scope: "optional" },
    option: "GODWIT_CRYPTO=mbedtls",
  },
  {
    ...{ name: "libsystemd", versionMin: "247", licence: "LGPL-2.1-or-later", scope: "optional" },
    option: "GODWIT_SYSTEMD=on, GODWIT_DBUS=sdbus",
  },
];

/**
 * @param {object} of
 * @param {string} of.root directory of the release: hashes are of the files in it
 * @param {string} of.version
 * @param {number} of.epochS when, seconds since 1970
 * @param {readonly string[]} of.packages npm packages in the scripts
 * @param {object} of.quickJs quickjs-ng.lock.json
 * @param {object} of.npmBill what `npm sbom` says of the whole project
 * @throws {Error} when npm does not name a package
 */
export function billOfMaterials({ root, version, epochS, packages, quickJs, npmBill }) {
  const name = `godwit-firmware@${version}`;
  const bundled = packages.map((wanted) => {
    const component = npmBill.components.find((component) => component.name === wanted);
    if (component === undefined) throw new Error(`npm sbom does not name ${wanted}`);
    return component;
  });
  const engine = quickJsComponent(quickJs);
  const libraries = LIBRARIES.map(libraryComponent);
  const scripts = ["dist/firmware", "dist/dashboard"].flatMap((directory) => fileComponents(root, directory));
  const components = [...bundled, engine, ...libraries, ...scripts];
  const names = new Set(components.map((component) => component["bom-ref"]));
  const among = npmBill.dependencies.filter(({ ref }) => names.has(ref));
  const needed = [...bundled, engine, ...libraries].map((component) => component["bom-ref"]);
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: serialNumber([name, String(epochS), ...components.map((part) => JSON.stringify(part))]),
    version: 1,
    metadata: {
      timestamp: new Date(epochS * 1000).toISOString(),
      lifecycles: [{ phase: "build" }],
      component: {
        ...{ "bom-ref": name, type: "firmware", name: "godwit-firmware", version },
        description: "Web Push user agent for firmware images: godwitd and libgodwit",
        licenses: [{ license: { id: "MIT" } }],
      },
    },
    components,
    dependencies: [
      { ref: name, dependsOn: needed },
      ...among.map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => names.has(on)) })),
      ...[engine, ...libraries, ...scripts].map((part) => ({ ref: part["bom-ref"], dependsOn: [] })),
    ],
  };
}

/** The hash is that of the Debian package; the tree's, as in the lock file, is what the build sees. */
function quickJsComponent({ package: name, version, suite, sha256, source }) {
  const [upstream] = version.split("-");
  return {
    ...{ "bom-ref": `quickjs-ng@${version}`, type: "library", name: "quickjs-ng", version: upstream },
    scope: "required",
    description: "JavaScript engine, compiled in; its source is quickjs-ng/",
    hashes: [{ alg: "SHA-256", content: sha256 }],
    licenses: [{ license: { id: "MIT" } }],
    purl: `pkg:deb/debian/${name}@${version}?arch=all&distro=${suite}`,
    properties: [{ name: "godwit:treeSha256", value: source.sha256 }],
  };
}

/** Which version it is, the image decides. */
function libraryComponent({ name, versionMin, licence, scope, option }) {
  const properties = [
    { name: "godwit:versionMin", value: versionMin },
    ...(option === undefined ? [] : [{ name: "godwit:cmakeOption", value: option }]),
  ];
  return {
    ...{ "bom-ref": name, type: "library", name, scope },
    description: `Library of the system, ${versionMin} or newer; not in the tarball`,
    licenses: [licence.includes(" ") ? { expression: licence } : { license: { id: licence } }],
    properties,
  };
}

function fileComponents(root, directory) {
  return readdirSync(join(root, directory))
    .sort()
    .map((file) => {
      const name = `${directory}/${file}`;
      const content = createHash("sha256")
        .update(readFileSync(join(root, name)))
        .digest("hex");
      return {
        ...{ "bom-ref": name, type: "file", name, hashes: [{ alg: "SHA-256", content }] },
        licenses: [{ license: { id: "MIT" } }],
      };
    });
}

/** A name-based UUID (RFC 9562, version 8): the same bill has the same. */
function serialNumber(parts) {
  const hash = createHash("sha256").update(parts.join("\n")).digest().subarray(0, 16);
  hash[6] = (hash[6] & 0x0f) | 0x80;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return `urn:uuid:${hash.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")}`;
}
