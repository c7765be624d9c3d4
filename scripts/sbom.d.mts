// SPDX-License-Identifier: MIT

export interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version?: string;
  readonly scope?: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly { readonly license?: { readonly id: string }; readonly expression?: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** Of CycloneDX 1.5, what is made here. */
export interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** dist/bundles.json: of each script that needs nothing else its entry, and the packages it has something of. */
export type Bundles = Readonly<
  Record<string, { readonly entry: string; readonly packages: readonly string[] }>
>;

interface Made {
  /** Directory that dist/ is in. */
  readonly root: string;
  readonly version: string;
  readonly epochS: number;
  readonly bundles: Bundles;
  readonly npmBill: Bill;
}

/** `program`: godwitd by its path from `root`, whose libraries then have versions; null for sources. */
export function firmwareBill(of: Made & { readonly quickJs: object; readonly program: string | null }): Bill;
export function packageBill(of: Made): Bill;
/** What npm says of the lock file, as to what is needed at run time. */
export function npmBill(): Bill;
