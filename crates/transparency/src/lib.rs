//! Transparency logs, timestamp authorities, and the roots of trust for both.
