//! Decisions as pure functions of (table, request, now).
