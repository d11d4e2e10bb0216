//! What only a server that misbehaves can show.
