//! The only two doors between the planes.
