//! Many writers of one tag.
