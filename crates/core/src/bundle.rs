//! Sigstore bundles v0.3.
