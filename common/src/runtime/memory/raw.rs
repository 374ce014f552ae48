//! Calls of jemalloc and the kernel that have no safe interface: the only unsafe code of the programs.
#![expect(unsafe_code, reason = "jemalloc reads its options from a symbol, and purging has no safe interface")]

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::RawFd;
use std::ptr;

use nix::libc;

use super::{MemoryError, refused};

// Dynamic checks (.ci/checks) follow what the system's allocator gives.
#[cfg(not(system_allocator))]
#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

/// A pointer that jemalloc may read from any thread.
#[repr(transparent)]
pub(super) struct Settings(*const c_char);
// SAFETY: it points to a constant.
unsafe impl Sync for Settings {}

/// One background thread returns memory that has been free for a second. Two arenas are enough for two cores.
const TUNING: &CStr = c"background_thread:true,max_background_threads:1,narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";

// SAFETY: jemalloc, built with this prefix, declares `const char *_rjem_malloc_conf`.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub(super) static SETTINGS: Settings = Settings(TUNING.as_ptr());

/// The compiled-in options.
pub(super) fn tuning() -> &'static str {
    TUNING.to_str().unwrap_or_default()
}

/// The types of jemalloc's values that are read here.
pub(super) trait Value: Copy {}
impl Value for usize {}
impl Value for c_uint {}
impl Value for bool {}

/// Reads a value of jemalloc, such as `stats.allocated`. Statistics are as of the last epoch, and 4096 stands for all arenas.
pub(super) fn read<T: Value>(name: &str) -> Result<T, MemoryError> {
    // SAFETY: the name ends with NUL. jemalloc refuses if its own type has another size, and its `bool` is 0 or 1.
    refused(name, unsafe { jemalloc_ctl::raw::read(format!("{name}\0").as_bytes()) })
}

/// Whether allocations are sampled from now on.
pub(super) fn set_profile_active(active: bool) -> Result<(), MemoryError> {
    // SAFETY: the name ends with NUL, and jemalloc takes this value as a `bool`.
    refused("prof.active", unsafe { jemalloc_ctl::raw::write(b"prof.active\0", active) })
}

/// Calls a control of jemalloc that has no value, such as `arena.4096.purge`.
pub(super) fn call(name: &CStr) -> Result<(), MemoryError> {
    // SAFETY: the name ends with NUL, and a control without values takes null for all of them.
    let code = unsafe { jemalloc_sys::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    accepted(&name.to_string_lossy(), code)
}

/// Writes all samples of live objects into an existing file.
pub(super) fn dump_profile(into: &CStr) -> Result<(), MemoryError> {
    let mut path = into.as_ptr();
    let (name, size) = (c"prof.dump".as_ptr(), size_of::<*const c_char>());
    // SAFETY: both texts end with NUL and outlive the call; jemalloc takes a pointer to the path and returns nothing.
    let code = unsafe { jemalloc_sys::mallctl(name, ptr::null_mut(), ptr::null_mut(), (&raw mut path).cast(), size) };
    accepted("a heap profile", code)
}

fn accepted(what: &str, code: c_int) -> Result<(), MemoryError> {
    refused(what, if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) })
}

#[expect(clippy::cast_possible_truncation, reason = "a number, and an address of 128 bytes")]
const fn size_of_value<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Whether the descriptor is a TCP socket with a peer. `false` for other files, and if it was closed meanwhile.
pub(super) fn is_tcp_with_peer(descriptor: RawFd) -> bool {
    let mut protocol: c_int = 0;
    let mut length = size_of_value::<c_int>();
    // SAFETY: the kernel writes at most `length` bytes, which `protocol` has, and takes any number for a descriptor.
    let code = unsafe {
        libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_PROTOCOL, (&raw mut protocol).cast(), &raw mut length)
    };
    if code != 0 || protocol != libc::IPPROTO_TCP {
        return false;
    }
    let mut peer = MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut length = size_of_value::<libc::sockaddr_storage>();
    // SAFETY: the kernel writes at most `length` bytes, which `peer` has; nobody reads them.
    unsafe { libc::getpeername(descriptor, peer.as_mut_ptr().cast(), &raw mut length) == 0 }
}
