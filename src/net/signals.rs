//! Signals that come before anybody listens for them: held back, not lost, and not deadly.
//!
//! A service manager may say stop, and logrotate may say reopen, the instant the port answers. Whoever
//! starts the proxy holds signals first, starts, begins to listen, and releases them.
#![expect(unsafe_code, reason = "the system call has no safe form in a well-kept crate of ours")]

use std::{mem, ptr};

/// SIGTERM, SIGINT, SIGHUP and SIGUSR2 wait from now on, for the calling thread and those that it starts.
pub fn hold() {
    mask(libc::SIG_BLOCK);
}

/// The calling thread takes them, those that waited at once.
pub fn release() {
    mask(libc::SIG_UNBLOCK);
}

fn mask(how: libc::c_int) {
    // SAFETY: sigset_t is a plain bit array, which sigemptyset makes valid; each call gets a valid pointer to
    // it, and a null pointer where the former mask would go. None of them can fail on valid arguments.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR2] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(how, &raw const set, ptr::null_mut());
    }
}
