//! Tests of small parts.
