// Verifies a Sigstore bundle with @sigstore/verify, which no Go or Rust is in. The folder of its packages is in
// NODE_PATH.
//
// usage: node verify.cjs BUNDLE TRUSTED_ROOT (--identity NAME ISSUER | --key PEM) [ARTIFACT]
//
// It prints whose signature it is and for what, as JSON, or why it is refused, and exits with 1 then.
'use strict';
const fs = require('fs');
const crypto = require('crypto');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const read = (path) => JSON.parse(fs.readFileSync(path, 'utf8'));

function verify([bundlePath, rootPath, how, ...rest]) {
  const bundle = bundleFromJSON(read(bundlePath));
  const root = TrustedRoot.fromJSON(read(rootPath));
  const keyed = how === '--key';
  const options = { timestampThreshold: keyed ? 0 : 1, ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0 };
  let finder;
  let policy;
  if (keyed) {
    const publicKey = crypto.createPublicKey(fs.readFileSync(rest.shift()));
    finder = () => ({ publicKey, validFor: () => true });
  } else {
    const [name, issuer] = rest.splice(0, 2);
    policy = { subjectAlternativeName: name, extensions: { issuer } };
  }
  const artifact = rest.length > 0 ? fs.readFileSync(rest[0]) : undefined;
  const material = toTrustMaterial(root, finder);
  const signer = new Verifier(material, options).verify(toSignedEntity(bundle, artifact), policy);
  const envelope = bundle.content.dsseEnvelope;
  return {
    identity: signer.identity,
    entries: bundle.verificationMaterial.tlogEntries.length,
    statement: envelope && JSON.parse(envelope.payload.toString('utf8')),
  };
}

try {
  console.log(JSON.stringify(verify(process.argv.slice(2))));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exit(1);
}
