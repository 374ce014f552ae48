//! The calls that have no safe interface, of jemalloc and of the kernel. The only unsafe code of the project.
#![expect(unsafe_code, reason = "jemalloc reads its settings from a symbol, and purging has no safe interface")]

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::RawFd;
use std::ptr;

use nix::libc;

#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

/// A pointer that jemalloc may read from any thread.
#[repr(transparent)]
pub(super) struct Settings(*const c_char);
// SAFETY: it points to a constant of the program, which nobody writes to.
unsafe impl Sync for Settings {}

/// One background thread gives back what has been free for a second; two arenas are enough for two cores.
const TUNING: &CStr = c"background_thread:true,max_background_threads:1,narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";

// SAFETY: jemalloc, built with this prefix, declares `const char *_rjem_malloc_conf`, and this is one.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub(super) static SETTINGS: Settings = Settings(TUNING.as_ptr());

/// The settings compiled in.
pub(super) fn tuning() -> &'static str {
    TUNING.to_str().unwrap_or_default()
}

/// Calls a control of jemalloc that takes and gives nothing.
fn call(name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends with NUL, and a control without values takes null for all of them.
    let code = unsafe { jemalloc_sys::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// The bytes that all threads' caches hold, as of the last epoch; 4096 stands for all arenas.
pub(super) fn thread_cache_bytes() -> jemalloc_ctl::Result<usize> {
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `size_t`.
    unsafe { jemalloc_ctl::raw::read(b"stats.arenas.4096.tcache_bytes\0") }
}

/// A number of one arena, `stats.arenas.<i>.…`, as of the last epoch.
pub(super) fn arena_number<T: ArenaNumber>(arena: u32, what: &str) -> jemalloc_ctl::Result<T> {
    let name = format!("stats.arenas.{arena}.{what}\0");
    // SAFETY: the name ends with NUL, and all bit patterns of these types are values; jemalloc writes no more than the
    // type's size, and refuses where its own is another.
    unsafe { jemalloc_ctl::raw::read(name.as_bytes()) }
}

/// The types that jemalloc has numbers of arenas in.
pub(super) trait ArenaNumber: Copy {}
impl ArenaNumber for usize {}
impl ArenaNumber for c_uint {}

/// Whether an arena was ever used; the others have no numbers.
pub(super) fn is_arena_used(arena: u32) -> jemalloc_ctl::Result<bool> {
    let name = format!("arena.{arena}.initialized\0");
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `bool`.
    unsafe { jemalloc_ctl::raw::read(name.as_bytes()) }
}

/// The bytes of a page, as the allocator counts them.
pub(super) fn page_bytes() -> jemalloc_ctl::Result<usize> {
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `size_t`.
    unsafe { jemalloc_ctl::raw::read(b"arenas.page\0") }
}

/// Gives back all unused pages of all arenas; 4096 stands for all of them.
pub(super) fn purge_arenas() -> io::Result<()> {
    call(c"arena.4096.purge")
}

/// Empties the calling thread's cache of free objects into the arenas.
pub(super) fn flush_thread_cache() -> io::Result<()> {
    call(c"thread.tcache.flush")
}

/// Whether allocations are sampled now.
pub(super) fn profile_active() -> jemalloc_ctl::Result<bool> {
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `bool`.
    unsafe { jemalloc_ctl::raw::read(b"prof.active\0") }
}

/// Has allocations sampled from now on, or not.
pub(super) fn set_profile_active(active: bool) -> jemalloc_ctl::Result<()> {
    // SAFETY: the name ends with NUL, and jemalloc takes this value as a `bool`.
    unsafe { jemalloc_ctl::raw::write(b"prof.active\0", active) }
}

/// The binary logarithm of the bytes between two samples.
pub(super) fn profile_lg_sample() -> jemalloc_ctl::Result<usize> {
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `size_t`.
    unsafe { jemalloc_ctl::raw::read(b"prof.lg_sample\0") }
}

/// Forgets all samples.
pub(super) fn reset_profile() -> io::Result<()> {
    call(c"prof.reset")
}

/// Writes all samples of objects that are still held into a file, which is there.
pub(super) fn dump_profile(into: &CStr) -> io::Result<()> {
    let mut path = into.as_ptr();
    let (name, size) = (c"prof.dump".as_ptr(), size_of::<*const c_char>());
    // SAFETY: both texts end with NUL and outlive the call; jemalloc takes a pointer to the path, and gives nothing.
    let code = unsafe { jemalloc_sys::mallctl(name, ptr::null_mut(), ptr::null_mut(), (&raw mut path).cast(), size) };
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

#[expect(clippy::cast_possible_truncation, reason = "a number, and an address of 128 bytes")]
const fn size_of_value<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Whether the descriptor is a TCP socket that has a peer. One that is no socket, or was closed meanwhile, is not.
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
