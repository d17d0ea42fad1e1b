//! How many descriptors this process may have open, and what is kept free of them for upstream connections and
//! files: clients that wait to be accepted lose nothing, a request without a connection to AWS does.
#![expect(
    unsafe_code,
    reason = "these system calls have no safe form in a well-kept crate of ours"
)]

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::limits::{DESCRIPTORS_FREE_MAX, DESCRIPTORS_FREE_PART, DESCRIPTORS_WANTED};

fn limits() -> libc::rlimit {
    let mut limits = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: writes one rlimit, to a valid place; if it fails the values above stand.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
    limits
}

/// Raises the soft limit to the hard one, as far as we could use it: what a shell gives is 1,024.
pub fn raise() {
    let mut limits = limits();
    let wanted = limits.rlim_max.min(DESCRIPTORS_WANTED);
    if wanted > limits.rlim_cur {
        limits.rlim_cur = wanted;
        // SAFETY: reads one valid rlimit. If it is refused, we go on with what we have.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) };
    }
}

/// The number of the first descriptor that no client is to have: the kernel gives the lowest that is free.
#[must_use]
pub fn ceiling() -> RawFd {
    let limit = limits().rlim_cur.min(DESCRIPTORS_WANTED);
    let free = (limit / DESCRIPTORS_FREE_PART).min(DESCRIPTORS_FREE_MAX);
    RawFd::try_from(limit - free).unwrap_or(RawFd::MAX)
}

/// The number that the kernel would give next.
///
/// # Errors
/// There is none.
pub fn next(any: &impl AsRawFd) -> io::Result<RawFd> {
    // SAFETY: takes numbers alone; the new descriptor is ours, and closed by its owner below.
    let number = unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
    if number == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, by us alone.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept_free() {
        raise();
        let limits = limits();
        assert_eq!(limits.rlim_cur, limits.rlim_max.min(DESCRIPTORS_WANTED).max(limits.rlim_cur));
        let limit = RawFd::try_from(limits.rlim_cur.min(DESCRIPTORS_WANTED)).unwrap();
        assert!(ceiling() < limit && ceiling() >= limit / 2);
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(next(&file).unwrap() > 2);
    }
}
