//! Model ids, ARNs and regions, and the hosts that serve them.
