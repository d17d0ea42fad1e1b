//! One pinned thread per core: accepts, relays, signs.
