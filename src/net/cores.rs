//! Which processor cores this process may use, and how a thread stays on one of them.
#![expect(
    unsafe_code,
    reason = "these system calls have no safe form in a well-kept crate of ours"
)]

use std::{io, mem};

/// The cores this process may run on (taskset, cgroup cpusets), in ascending order. Never empty.
#[must_use]
pub fn allowed() -> Vec<usize> {
    // SAFETY: cpu_set_t is a plain bit array; all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is valid for writes of the size given; 0 means the calling thread.
    let code = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if code != 0 {
        return vec![0];
    }
    let bits = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: CPU_ISSET reads within the set for every index below CPU_SETSIZE.
    let cores: Vec<usize> =
        (0..bits).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// The same, beginning with the one the calling thread runs on: the scheduler chose it as the least
/// busy, so that processes which use fewer cores than there are do not all begin with the first.
#[must_use]
pub fn allowed_from_here() -> Vec<usize> {
    let mut cores = allowed();
    // SAFETY: takes nothing and returns a number, or -1.
    let here = usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0);
    let at = cores.iter().position(|core| *core == here).unwrap_or(0);
    cores.rotate_left(at);
    cores
}

/// The calling thread, by the kernel's number: `/proc/self/task/` has it.
#[must_use]
pub fn thread() -> u64 {
    // SAFETY: takes nothing and returns a number.
    u64::try_from(unsafe { libc::gettid() }).unwrap_or(0)
}

/// Keeps the calling thread on `core`.
///
/// # Errors
/// What the kernel says, when the core does not exist or may not be used.
pub fn pin(core: usize) -> io::Result<()> {
    if core >= usize::try_from(libc::CPU_SETSIZE).unwrap_or(0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: as above; `core` is below CPU_SETSIZE.
    let code = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_each_allowed_core() {
        let cores = allowed();
        std::thread::spawn(move || {
            for core in cores {
                pin(core).unwrap();
                assert_eq!(allowed(), [core]);
            }
            pin(usize::MAX).unwrap_err();
        })
        .join()
        .unwrap();
    }
}
